//! The same work on four hosts by every tool: everything to do, nothing left to do, nothing left to do and the hosts far away.

use super::{
    machine::Machine,
    process,
    table::{Page, Spread},
    tools::{Site, Tool},
};
use std::time::Duration;

/// As on a new machine.
const WIPE: &str = "rm -rf /srv/bench; crontab -r; userdel bench; groupdel bench; apt-get purge -qq -y kw-hello kw-lib; exit 0";

/// See the module.
pub fn measure(machines: &[Machine], near: &Site, far: &Site, page: &mut Page) {
    let wipe = || {
        for machine in machines {
            machine.inside(WIPE);
        }
    };
    let once = |site: &Site, tool: Tool| {
        let run = process::must(&mut site.command(tool), &site.dir().join("said"));
        eprintln!("{:>26} {:6.2} s", tool.name(), run.wall.as_secs_f64());
        run
    };
    let some = super::runs().min(3);
    let (mut theirs, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..some {
        wipe();
        ours.push(once(near, Tool::Kubewright).wall);
        wipe();
        theirs.push(once(near, Tool::Ansible).wall);
    }
    let (theirs, ours) = (Spread::of(&theirs), Spread::of(&ours));
    page.line("");
    page.line("**A playbook of 24 tasks (benches/engine/workload/site.yml) on four hosts, everything to do**");
    page.line("");
    page.line("| | s | times kubewright's |\n| --- | --- | --- |");
    page.line(&format!("| kubewright | {ours} | 1 |"));
    page.line(&format!("| {} | {theirs} | {:.0} |", Tool::Ansible.name(), theirs.median / ours.median));

    // Each tool has done its part before nothing is left for it.
    for tool in Tool::ALL.into_iter().rev() {
        once(near, tool);
    }
    for tool in [Tool::Kubewright, Tool::Ansible] {
        let said = once(near, tool).said;
        let recaps: Vec<&str> = said.lines().filter(|l| l.contains(" ok=")).collect();
        assert!(recaps.len() == 4 && recaps.iter().all(|l| l.contains("changed=0")), "{}: {said}", tool.name());
    }
    in_turn(near, &Tool::ALL, "nothing left to do", &once, page);
    in_turn(far, &[Tool::Floor, Tool::Kubewright, Tool::Pyinfra], "nothing left to do, 100 ms of added round-trip time", &once, page);
}

fn in_turn(site: &Site, tools: &[Tool], what: &str, once: &dyn Fn(&Site, Tool) -> process::Run, page: &mut Page) {
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); tools.len()];
    for _ in 0..super::runs() {
        for (tool, times) in tools.iter().zip(&mut times) {
            times.push(once(site, *tool).wall);
        }
    }
    let spreads: Vec<Spread> = times.iter().map(|t| Spread::of(t)).collect();
    page.line("");
    page.line(&format!("**The same, {what}**"));
    page.line("");
    page.line("| | s | times the floor | times kubewright's |\n| --- | --- | --- | --- |");
    for (tool, spread) in tools.iter().zip(&spreads) {
        let (floor, ours) = (spreads[0].median, spreads[1].median);
        page.line(&format!("| {} | {spread} | {:.2} | {:.2} |", tool.name(), spread.median / floor, spread.median / ours));
    }
}
