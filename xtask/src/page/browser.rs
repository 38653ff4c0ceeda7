//! Chromium, driven by its DevTools protocol through two pipes. Invariant: whatever a page writes to its console as an error, throws or
//! fails to load is kept, and the browser ends with its handle.

use std::{
    fs::{File, OpenOptions},
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::Command,
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde_json::{Value, json};

use crate::{folder, process::Process};

/// How long the browser may take for an answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Its names, where the environment names none.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// The browser's program: `ASSAY_CHROMIUM`, or the first known name that is installed.
pub(super) fn find() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("ASSAY_CHROMIUM").filter(|path| !path.is_empty()) {
        return Some(path.into());
    }
    let works = |name: &&&str| Command::new(name).arg("--version").output().is_ok_and(|o| o.status.success());
    NAMES.iter().find(works).map(PathBuf::from)
}

/// A running browser.
pub(super) struct Browser {
    process: Process,
    commands: File,
    messages: Receiver<Value>,
    last_id: u64,
}

/// A page of it.
pub(super) struct Tab<'b> {
    browser: &'b mut Browser,
    session: String,
    target: String,
    /// What went wrong in it.
    errors: Vec<String>,
}

impl Browser {
    /// Starts a browser without a window, whose files are in `dir`.
    pub(super) fn start(program: &Path, dir: &Path) -> Result<Self> {
        folder::fresh(dir)?;
        let (to, from) = (dir.join("to"), dir.join("from"));
        for pipe in [&to, &from] {
            nix::unistd::mkfifo(pipe, nix::sys::stat::Mode::S_IRWXU)?;
        }
        // The browser reads commands from descriptor 3 and writes to 4.
        let mut command = Command::new("sh");
        command.args(["-c", "exec 3<\"$1\" 4>\"$2\"; shift 2; exec \"$@\"", "sh"]);
        command.arg(&to).arg(&from).arg(program);
        command.args([
            "--headless=new",
            "--remote-debugging-pipe",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--hide-scrollbars",
            "--force-color-profile=srgb",
        ]);
        command.arg(format!("--user-data-dir={}", dir.join("profile").display())).arg("about:blank");
        let process = Process::start("chromium", &mut command, dir)?;
        let commands = OpenOptions::new().write(true).open(&to)?;
        let answers = BufReader::new(File::open(&from)?);
        let (sender, messages) = channel();
        thread::spawn(move || {
            for message in answers.split(0).map_while(std::result::Result::ok) {
                if sender.send(serde_json::from_slice(&message).unwrap_or_default()).is_err() {
                    return;
                }
            }
        });
        Ok(Self { process, commands, messages, last_id: 0 })
    }

    /// A page of this size in CSS pixels, in the light scheme.
    pub(super) fn tab(&mut self, width: u32, height: u32) -> Result<Tab<'_>> {
        let target = self.call(None, "Target.createTarget", &json!({"url": "about:blank"}), &mut |_| ())?;
        let target = target["targetId"].as_str().context("no target")?.to_owned();
        let attached = json!({"targetId": target, "flatten": true});
        let session = self.call(None, "Target.attachToTarget", &attached, &mut |_| ())?;
        let session = session["sessionId"].as_str().context("no session")?.to_owned();
        let mut tab = Tab { browser: self, session, target, errors: Vec::new() };
        for domain in ["Page.enable", "Runtime.enable", "Log.enable"] {
            tab.call(domain, &json!({}))?;
        }
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500});
        tab.call("Emulation.setDeviceMetricsOverride", &size)?;
        tab.scheme(false)?;
        Ok(tab)
    }

    fn call(
        &mut self,
        session: Option<&str>,
        method: &str,
        parameters: &Value,
        event: &mut dyn FnMut(&Value),
    ) -> Result<Value> {
        self.last_id += 1;
        let mut message = json!({"id": self.last_id, "method": method, "params": parameters});
        if let Some(session) = session {
            message["sessionId"] = session.into();
        }
        self.commands
            .write_all(format!("{message}\0").as_bytes())
            .with_context(|| self.process.post_mortem())?;
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let Ok(mut answer) = self.messages.recv_timeout(left) else {
                bail!("{method}: no answer from the browser: {}", self.process.post_mortem());
            };
            if answer["id"] == self.last_id {
                ensure!(answer["error"].is_null(), "{method}: {}", answer["error"]);
                return Ok(answer["result"].take());
            }
            event(&answer);
        }
    }
}

impl Tab<'_> {
    fn call(&mut self, method: &str, parameters: &Value) -> Result<Value> {
        let errors = &mut self.errors;
        self.browser.call(Some(&self.session), method, parameters, &mut |event| errors.extend(trouble(event)))
    }

    /// Opens an address and waits until it is loaded.
    pub(super) fn open(&mut self, url: &str) -> Result<()> {
        let answer = self.call("Page.navigate", &json!({"url": url}))?;
        ensure!(answer["errorText"].is_null(), "{url}: {}", answer["errorText"]);
        self.wait_until("document.readyState === 'complete' && location.href !== 'about:blank'")
    }

    /// What an expression comes to, which may be a promise.
    pub(super) fn eval(&mut self, expression: &str) -> Result<Value> {
        let parameters = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let mut answer = self.call("Runtime.evaluate", &parameters)?;
        let thrown = &answer["exceptionDetails"];
        ensure!(thrown.is_null(), "{:.200}: {}", expression, thrown["exception"]["description"]);
        Ok(answer["result"]["value"].take())
    }

    /// Waits until an expression is true.
    pub(super) fn wait_until(&mut self, expression: &str) -> Result<()> {
        let until = Instant::now() + 3 * PATIENCE;
        while self.eval(expression)? != true {
            ensure!(Instant::now() < until, "waited in vain until {expression}{}", self.trouble_so_far());
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Moves the mouse to a place on the screen, or presses and releases it there.
    pub(super) fn mouse(&mut self, kind: &str, x: f64, y: f64) -> Result<()> {
        let button = if kind == "mouseMoved" { "none" } else { "left" };
        let held = u8::from(kind != "mouseReleased");
        let parameters =
            json!({"type": kind, "x": x, "y": y, "button": button, "buttons": held, "clickCount": 1});
        self.call("Input.dispatchMouseEvent", &parameters).map(drop)
    }

    /// Presses a key.
    pub(super) fn key(&mut self, key: &str) -> Result<()> {
        for kind in ["keyDown", "keyUp"] {
            self.call("Input.dispatchKeyEvent", &json!({"type": kind, "key": key}))?;
        }
        Ok(())
    }

    /// Shows the page in a dark or a light scheme.
    pub(super) fn scheme(&mut self, dark: bool) -> Result<()> {
        let value = if dark { "dark" } else { "light" };
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": value}]});
        self.call("Emulation.setEmulatedMedia", &features).map(drop)
    }

    /// The whole page as a PNG.
    pub(super) fn screenshot(&mut self) -> Result<Vec<u8>> {
        let size = self.call("Page.getLayoutMetrics", &json!({}))?;
        let content = &size["cssContentSize"];
        let clip =
            json!({"x": 0, "y": 0, "width": content["width"], "height": content["height"], "scale": 1});
        let parameters = json!({"format": "png", "captureBeyondViewport": true, "clip": clip});
        let shot = self.call("Page.captureScreenshot", &parameters)?;
        Ok(BASE64.decode(shot["data"].as_str().context("no picture")?)?)
    }

    /// Fails if anything went wrong in the page so far.
    pub(super) fn is_clean(&self, what: &str) -> Result<()> {
        ensure!(self.errors.is_empty(), "{what}{}", self.trouble_so_far());
        Ok(())
    }

    fn trouble_so_far(&self) -> String {
        self.errors.iter().map(|e| format!("; {e}")).collect()
    }

    /// Closes the page.
    pub(super) fn close(self) -> Result<()> {
        let target = json!({"targetId": self.target});
        self.browser.call(None, "Target.closeTarget", &target, &mut |_| ()).map(drop)
    }
}

/// What went wrong, if an event says that anything did.
fn trouble(event: &Value) -> Option<String> {
    let parameters = &event["params"];
    match event["method"].as_str()? {
        "Runtime.exceptionThrown" => {
            let thrown = &parameters["exceptionDetails"];
            Some(format!("{} {}", thrown["text"], thrown["exception"]["description"]))
        }
        "Runtime.consoleAPICalled" if parameters["type"] == "error" => Some(parameters["args"].to_string()),
        "Log.entryAdded" if parameters["entry"]["level"] == "error" => {
            Some(format!("{} {}", parameters["entry"]["text"], parameters["entry"]["url"]))
        }
        _ => None,
    }
}
