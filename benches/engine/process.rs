//! A program that is run and looked at: how long, how much processor time, how much memory.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// How a run went.
#[derive(Clone, Debug)]
pub struct Run {
    /// Wall time from start to exit.
    pub wall: Duration,
    /// Processor time of the program itself, up to its last 10 ms.
    pub cpu: Duration,
    /// Most memory it had resident at once, MiB.
    pub peak_mib: f64,
    /// Exit code.
    pub code: Option<i32>,
    /// Standard output and error.
    pub said: String,
}

/// Runs it to its end.
pub fn run(command: &mut Command, log: &Path) -> Run {
    let file = fs::File::create(log).expect("a log");
    command.stdin(Stdio::null()).stdout(file.try_clone().expect("a file")).stderr(file);
    let begun = Instant::now();
    let mut child = command.spawn().expect("the program starts");
    let id = child.id();
    let (mut cpu, mut peak_mib) = (Duration::ZERO, 0.0);
    let watched = std::thread::spawn(move || {
        // The kernel keeps the peak: the last look before the end has it.
        while let (Ok(status), Ok(stat)) =
            (fs::read_to_string(format!("/proc/{id}/status")), fs::read_to_string(format!("/proc/{id}/stat")))
        {
            let Some(kib) = status.lines().find_map(|l| l.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok())
            else {
                break;
            };
            peak_mib = kib / 1024.0;
            // proc(5): utime and stime are fields 14 and 15, in 100ths of a second.
            let fields: Vec<u64> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().filter_map(|f| f.parse().ok()).collect();
            cpu = Duration::from_millis(10 * (fields.get(10).unwrap_or(&0) + fields.get(11).unwrap_or(&0)));
            std::thread::sleep(Duration::from_millis(10));
        }
        (cpu, peak_mib)
    });
    let code = child.wait().expect("it ends").code();
    let wall = begun.elapsed();
    let (cpu, peak_mib) = watched.join().expect("the watch ends");
    Run { wall, cpu, peak_mib, code, said: fs::read_to_string(log).unwrap_or_default() }
}

/// Runs it and expects success.
pub fn must(command: &mut Command, log: &Path) -> Run {
    let run = run(command, log);
    assert_eq!(run.code, Some(0), "{command:?}:\n{}", run.said);
    run
}
