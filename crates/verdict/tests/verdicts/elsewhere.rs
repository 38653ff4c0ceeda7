//! Situations that other tests try, where the real program or the shipped rules are needed. Invariant: a test that is
//! named here exists.

/// A situation, what comes of it, and the file and the test that try it.
pub(crate) struct Elsewhere {
    pub(crate) situation: &'static str,
    pub(crate) outcome: &'static str,
    pub(crate) file: &'static str,
    pub(crate) test: &'static str,
}

const COUNTING: &str = "loadgen/tests/it/counting.rs";
const EXECUTORS: &str = "loadgen/tests/it/executors.rs";
const CLI: &str = "loadgen/tests/it/cli.rs";
const JUDGE: &str = "loadgen/tests/it/judge.rs";
const RULES: &str = "prometheus/tests/cases.yml";
const README: &str = "xtask/src/ci/readme.rs";

#[rustfmt::skip]
const ALL: [(&str, &str, &str, &str); 24] = [
    ("a stream, or an answer, of status 200 that carries an error", "a failure of class `reported_error`", COUNTING, "a_success_that_carries_an_error_is_a_failure"),
    ("a server reads a request and drops the connection", "`reset`, or a counted retry where the method may be repeated", COUNTING, "what_a_server_read_and_dropped_is_counted"),
    ("a kept connection was closed before the request", "opened again, no retry, for any method", COUNTING, "a_connection_that_was_closed_before_the_request_is_opened_again_for_any_method"),
    ("a stream in which no content is recognised", "no time to the first chunk, and a warning", COUNTING, "a_stream_without_content_has_no_time_to_it"),
    ("streams as lines of JSON, packed or cut", "read as streams", COUNTING, "lines_of_json_and_packed_events_are_streams"),
    ("a stream without its terminator, which is required", "a failure", COUNTING, "a_stream_can_be_required_to_have_its_end"),
    ("a step fails, and the steps after it are never reached", "listed with 0 requests, and a warning", COUNTING, "a_failed_step_ends_the_iteration_or_not_and_what_was_never_reached_is_listed"),
    ("an arrival-rate phase whose last start is early", "lasts its duration", EXECUTORS, "a_phase_of_arrivals_lasts_its_duration"),
    ("requests that a person's stop cuts off", "`interrupted`, in no error rate", EXECUTORS, "what_a_stop_cuts_off_is_in_no_error_rate"),
    ("the generator stands still at a phase's end", "the target is not blamed", CLI, "a_generator_that_was_stopped_at_the_end_of_a_phase_does_not_blame_the_target"),
    ("the load is interrupted", "exit 130, and a whole record", CLI, "a_request_to_end_ends_with_130_and_a_whole_record"),
    ("one command drives and judges", "the verdict's exit code, and the same verdict from the run alone", JUDGE, "a_run_ends_with_its_verdict_and_brings_along_what_judged_it"),
    ("rules or SLA are wrong", "exit 2 before any load", JUDGE, "wrong_files_are_said_before_the_load_starts"),
    ("the README's CI section runs twice in one folder", "each verdict is of its own run", README, "judged"),
    ("the README's CI section, with a load that is killed", "no pass", README, "killed"),
    ("the first login of a run fails, the others do not", "no alert", RULES, "the first login of a run fails, the others do not"),
    ("one failed query of 780", "no alert", RULES, "one failed query of 780, and one failed login of 130"),
    ("errors while the service warms up, none after", "no alert in the steady phase", RULES, "errors while the service warms up, none in ten minutes after"),
    ("a short peak in which every query takes 20 s", "an alert", RULES, "a short peak in which every query takes 20 s"),
    ("six users whose queries of a short peak take 8 s", "an alert", RULES, "six users whose queries of a short peak take 8 s"),
    ("a service that hangs from the start", "NoThroughput", RULES, "a service that hangs from the start, with a timeout of 30 s"),
    ("a host that waits for its disk", "not busy", RULES, "a host that waits for its disk, 5 % user, 85 % iowait, 10 % idle"),
    ("a step of half a millisecond that starts late", "does not queue", RULES, "a step of half a millisecond that starts two milliseconds late"),
    ("a scraped load generator that ends", "no TargetDown", RULES, "a scraped load generator that ends"),
];

pub(crate) fn all() -> impl Iterator<Item = Elsewhere> {
    ALL.into_iter().map(|(situation, outcome, file, test)| Elsewhere { situation, outcome, file, test })
}
