//! The page that is printed and kept.

use std::{fmt::Write as _, fs, path::Path, process::Command, time::Duration};

const BEGIN: &str = "<!-- engine: written by `make bench` -->";
const END: &str = "<!-- engine: end -->";

/// Smallest, middle and largest of some times.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    /// Smallest, s.
    pub min: f64,
    /// Middle, s.
    pub median: f64,
    /// Largest, s.
    pub max: f64,
}

impl Spread {
    /// Of at least one time.
    pub fn of(times: &[Duration]) -> Self {
        let mut all: Vec<f64> = times.iter().map(Duration::as_secs_f64).collect();
        all.sort_by(f64::total_cmp);
        Self { min: all[0], median: all[all.len() / 2], max: all[all.len() - 1] }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.2} ({:.2}-{:.2})", self.median, self.min, self.max)
    }
}

/// Grows part by part.
pub struct Page {
    text: String,
}

impl Page {
    /// With the machine and the day; the others' versions stand in the name of their environment (hack/peers.sh).
    pub fn begin(venv: &Path) -> Self {
        let name = venv.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let versions: Vec<&str> = name.split('-').skip(1).collect();
        let [ansible, mitogen, pyinfra] = versions[..] else { panic!("{name} has no three versions") };
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let commit = Command::new("git").args(["rev-parse", "--short", "HEAD"]).current_dir(super::root()).output();
        let commit = commit.map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned()).unwrap_or_default();
        let day = jiff::Zoned::now().strftime("%Y-%m-%d");
        let build = if cfg!(debug_assertions) { "debug" } else { "release" };
        let load = load.split(' ').next().unwrap_or_default().to_owned();
        let mut page = Self { text: String::new() };
        page.line(&format!(
            "{day}, kubewright at {commit} ({build} build), {cores} cores, load average {load} at the start; ansible-core {ansible}, mitogen \
             {mitogen}, pyinfra {pyinfra}. Times in seconds: median (smallest-largest)."
        ));
        page
    }

    /// Adds a line.
    pub fn line(&mut self, line: &str) {
        println!("{line}");
        writeln!(self.text, "{line}").expect("text");
    }

    /// Writes it into docs/benchmarks.md.
    pub fn end(self) {
        let file = super::root().join("docs/benchmarks.md");
        let old = fs::read_to_string(&file).expect("docs/benchmarks.md");
        let (before, rest) = old.split_once(BEGIN).expect("its beginning is marked");
        let (_, after) = rest.split_once(END).expect("its end is marked");
        fs::write(&file, format!("{before}{BEGIN}\n\n{}\n{END}{after}", self.text)).expect("docs/benchmarks.md");
    }
}
