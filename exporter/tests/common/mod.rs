//! The made-up host of the tests, unpacked.

use std::{fs, path::Path};

use exporter::{Options, Paths, Settings};

/// Unpacks `tests/fixtures/host.txt` into `directory` and points the options there.
pub(crate) fn made_up_host(directory: &Path) -> Options {
    let bundle = include_str!("../fixtures/host.txt");
    for file in bundle.split("\n==> ").skip(1) {
        let (path, text) = file.split_once('\n').expect("a path on a line of its own");
        let path = directory.join(path);
        fs::create_dir_all(path.parent().expect("a file in a directory")).expect("a directory");
        fs::write(path, format!("{}\n", text.trim_end_matches('\n'))).expect("a file");
    }
    Options {
        paths: Paths {
            procfs: directory.join("proc"),
            sysfs: directory.join("sys"),
            rootfs: directory.join("root"),
            udev_data: directory.join("udev"),
        },
        own_metrics: false,
        // This machine may have GPUs; the made-up host has none.
        settings: setting(
            "collector.gpu.nvml-library",
            &directory.join("libnvidia-ml.so.1").to_string_lossy(),
        ),
        ..Options::default()
    }
}

/// The defaults with one collector's switch set.
pub(crate) fn setting(name: &str, value: &str) -> Settings {
    Settings::default().with(name, value).expect("a valid value")
}
