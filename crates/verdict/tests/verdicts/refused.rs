//! What is wrong with what was given.

use crate::{
    case::{Case, Says, case},
    healthy::{ALERTS, STEADY},
    world::World,
};

pub(crate) fn cases() -> Vec<Case> {
    let world = World::default;
    vec![
        case("a pattern of rule files that matches none", world())
            .sla(STEADY)
            .tune(|o, dir| o.rules = vec![dir.join("nomatch/*.yml").display().to_string()])
            .says(Says::BadInput, "the pattern matches no file")
            .recorded(),
        case("a pattern of SLA files that matches none", world())
            .rules(ALERTS)
            .tune(|o, dir| o.slas = vec![dir.join("nomatch/*.yml")])
            .says(Says::BadInput, "the pattern matches no file")
            .recorded(),
        case("a misspelt phase", world())
            .sla(STEADY.replace("[steady]", "[stedy]"))
            .says(Says::BadInput, "0.sla.yml:2:17: no phase is named \"stedy\"; did you mean \"steady\"?"),
        case("an alert that no rule file has", world())
            .sla(STEADY.replace("judge: {phases: [steady]}", "judge: {phases: [steady], require_alerts: [TargetDwn]}"))
            .rules(ALERTS)
            .says(Says::BadInput, "which no rule file has; did you mean \"TargetDown\"?")
            .recorded(),
        case("a phase with a limit that is not judged", world())
            .sla("sla: s\njudge: {phases: [steady]}\nobjectives:\n- {name: O, require: a < 1, limits: {peak: 2}}\n")
            .says(Says::BadInput, "the objective is not judged in phase \"peak\"")
            .recorded(),
        case("nothing to judge by", world()).says(Says::BadInput, "there is nothing to judge by").recorded(),
        case("a path that is no run", world())
            .sla(STEADY)
            .tune(|o, dir| o.run = dir.join("none"))
            .says(Says::BadInput, "there is no such directory")
            .recorded(),
    ]
}
