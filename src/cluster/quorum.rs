//! The arithmetic of etcd's quorum: what a change of members leaves, and why it is refused. Pure.
//!
//! Writes need more than half of the voting members (etcd.io/docs, "Failure tolerance"); learners do not vote.

use std::fmt;

/// A member as far as arithmetic goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seat {
    /// Its name.
    pub name: String,
    /// It votes; a learner does not.
    pub voter: bool,
    /// It answers, knows a leader and raises no alarm.
    pub healthy: bool,
}

/// A number of voters and what they can stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Members that vote.
    pub voters: usize,
    /// Of these, healthy ones.
    pub healthy: usize,
}

impl Tally {
    /// Counts.
    pub fn of<'a>(seats: impl IntoIterator<Item = &'a Seat>) -> Self {
        let voters = seats.into_iter().filter(|s| s.voter);
        voters.fold(Self { voters: 0, healthy: 0 }, |t, s| Self { voters: t.voters + 1, healthy: t.healthy + usize::from(s.healthy) })
    }

    /// Votes that a write needs.
    pub fn quorum(self) -> usize {
        self.voters / 2 + 1
    }

    /// Whether writes are possible.
    pub fn has_quorum(self) -> bool {
        self.voters > 0 && self.healthy >= self.quorum()
    }

    /// How many healthy members may be lost before writes stop.
    pub fn tolerance(self) -> usize {
        self.healthy.saturating_sub(self.quorum())
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |n: usize| if n == 1 { "" } else { "s" };
        write!(f, "{} voting member{}, {} healthy, quorum {}", self.voters, plural(self.voters), self.healthy, self.quorum())
    }
}

/// Why a change of members is refused: the numbers, then what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Refusal {
    /// With the arithmetic.
    pub why: String,
    /// What to do instead.
    pub hint: String,
}

fn refuse<T>(why: String, hint: &str) -> Result<T, Refusal> {
    Err(Refusal { why, hint: hint.to_owned() })
}

const RESTORE: &str = "bring back the machines that are down, or restore a snapshot: kubewright etcd restore";

/// Whether the members can be changed at all, and what they are.
fn working(seats: &[Seat]) -> Result<Tally, Refusal> {
    let now = Tally::of(seats);
    if now.has_quorum() {
        return Ok(now);
    }
    refuse(format!("etcd has no quorum: {now}; no member can be added or removed"), RESTORE)
}

/// What taking a member out leaves. A member that is down may go whenever the rest has a quorum; one that works only if
/// the rest keeps it.
pub fn removal(seats: &[Seat], name: &str) -> Result<Tally, Refusal> {
    let now = working(seats)?;
    let after = Tally::of(seats.iter().filter(|s| s.name != name));
    if after.voters == 0 {
        return refuse(
            format!("{name} is the last member of etcd ({now}): without it the cluster is gone"),
            "to move it to another machine: kubewright etcd snapshot, then kubewright etcd restore",
        );
    }
    if !after.has_quorum() {
        let sick: Vec<&str> = seats.iter().filter(|s| s.voter && !s.healthy && s.name != name).map(|s| s.name.as_str()).collect();
        return refuse(
            format!("without {name} etcd would have {after}, and no writes: now {now} (down: {})", sick.join(", ")),
            "mend or replace the member that is down first",
        );
    }
    Ok(after)
}

/// Whether a cluster may lose a control plane for good: an even number of members stands no more losses than one less, and
/// costs one more vote.
pub fn shrinking(seats: &[Seat], name: &str) -> Result<Tally, Refusal> {
    let now = Tally::of(seats);
    let left = Tally { voters: now.voters.saturating_sub(usize::from(seats.iter().any(|s| s.voter && s.name == name))), ..now };
    if left.voters > 0 && left.voters.is_multiple_of(2) && left.voters < now.voters {
        let stands = |voters: usize| (voters - 1) / 2;
        return refuse(
            format!(
                "{} → {} control planes: {} members need {} votes and stand the loss of {}, no more than {} would, and less than {} now do ({})",
                now.voters,
                left.voters,
                left.voters,
                left.quorum(),
                stands(left.voters),
                left.voters - 1,
                now.voters,
                stands(now.voters),
            ),
            &format!("replace it instead: kubewright node replace {name}"),
        );
    }
    removal(seats, name)
}

/// Whether a member can be replaced, where the new machine takes the old one's address: it has to go first.
pub fn replacing_in_place(seats: &[Seat], name: &str) -> Result<Tally, Refusal> {
    others_are_well(seats, name)?;
    removal(seats, name)
}

/// Whether a member can be replaced by one that joins first, at an address of its own.
pub fn replacing_beside(seats: &[Seat], name: &str) -> Result<Tally, Refusal> {
    let now = working(seats)?;
    others_are_well(seats, name)?;
    Ok(Tally { voters: now.voters + 1, healthy: now.healthy + 1 })
}

fn others_are_well(seats: &[Seat], name: &str) -> Result<(), Refusal> {
    let sick: Vec<&str> = seats.iter().filter(|s| s.name != name && !s.healthy).map(|s| s.name.as_str()).collect();
    if sick.is_empty() {
        return Ok(());
    }
    let now = Tally::of(seats);
    let without = Tally::of(seats.iter().filter(|s| s.name != name));
    refuse(
        format!("{} is sick, and {name} is to be replaced: {now}; while {name} is away etcd would have {without}", sick.join(" and ")),
        "one at a time: mend or replace the sick one first",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `abc`: healthy voters, `A`: a sick one, `l`: a healthy learner.
    fn seats(text: &str) -> Vec<Seat> {
        let seat = |c: char| Seat { name: c.to_ascii_lowercase().to_string(), voter: c != 'l', healthy: c.is_ascii_lowercase() };
        text.chars().map(seat).collect()
    }

    fn tally(voters: usize, healthy: usize) -> Tally {
        Tally { voters, healthy }
    }

    #[test]
    fn quorum_and_tolerance() {
        for (n, quorum, tolerance) in [(1, 1, 0), (2, 2, 0), (3, 2, 1), (4, 3, 1), (5, 3, 2)] {
            assert_eq!((tally(n, n).quorum(), tally(n, n).tolerance()), (quorum, tolerance), "{n}");
        }
        assert_eq!(Tally::of(&seats("abCl")), tally(3, 2));
        assert!(!tally(3, 1).has_quorum() && !tally(0, 0).has_quorum());
    }

    #[test]
    fn a_dead_member_goes_and_a_needed_one_stays() {
        assert_eq!(removal(&seats("abC"), "c"), Ok(tally(2, 2)));
        assert_eq!(removal(&seats("abc"), "a"), Ok(tally(2, 2)));
        let refused = removal(&seats("abC"), "a").unwrap_err();
        assert!(refused.why.contains("2 voting members, 1 healthy, quorum 2") && refused.why.contains("down: c"), "{refused}");
        assert!(removal(&seats("aBC"), "b").unwrap_err().why.contains("no quorum: 3 voting members, 1 healthy, quorum 2"));
        assert!(removal(&seats("a"), "a").unwrap_err().why.contains("last member"));
        assert_eq!(removal(&seats("abl"), "l"), Ok(tally(2, 2)), "a learner has no vote");
    }

    #[test]
    fn shrinking_to_an_even_number_is_refused() {
        let refused = shrinking(&seats("abc"), "c").unwrap_err();
        assert!(refused.why.starts_with("3 → 2 control planes: 2 members need 2 votes and stand the loss of 0"), "{refused}");
        assert!(refused.hint.contains("node replace c"));
        assert_eq!(shrinking(&seats("abcd"), "d"), Ok(tally(3, 3)), "what a replacement left half done");
        assert!(shrinking(&seats("abC"), "c").is_err(), "also when it is dead");
        assert!(shrinking(&seats("a"), "a").unwrap_err().why.contains("last member"));
    }

    #[test]
    fn one_at_a_time() {
        assert_eq!(replacing_in_place(&seats("abc"), "a"), Ok(tally(2, 2)));
        assert_eq!(replacing_in_place(&seats("Abc"), "a"), Ok(tally(2, 2)), "the dead one itself");
        assert!(replacing_in_place(&seats("aBc"), "a").unwrap_err().why.contains("b is sick"));
        assert!(replacing_in_place(&seats("a"), "a").unwrap_err().why.contains("last member"));
        assert_eq!(replacing_beside(&seats("a"), "a"), Ok(tally(2, 2)));
        assert_eq!(replacing_beside(&seats("Abc"), "a"), Ok(tally(4, 3)));
        assert!(replacing_beside(&seats("aBc"), "a").is_err());
    }
}
