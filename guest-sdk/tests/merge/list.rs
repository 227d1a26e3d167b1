//! `List`.

use std::collections::BTreeSet;

use reapply_guest::{Id, List, ListConflict, ListTransition, Place};
use reapply_simulation::{Accepted, History, Random};

use crate::naive::{ConflictOf, Fresh, Naive, TransitionOf};

/// The items in order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NaiveList<N>(Vec<(Id, N)>);

impl<N> Default for NaiveList<N> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// A change of a list of `N`s.
type Change<N> = ListTransition<<N as Naive>::Machine>;

impl<N> NaiveList<N> {
    fn index(&self, id: Id) -> Option<usize> {
        self.0.iter().position(|(at, _)| *at == id)
    }

    /// Returns the index of a new item at `place`; or the missing anchor.
    fn index_of(&self, place: &Place) -> Result<usize, Id> {
        match *place {
            Place::First => Ok(0),
            Place::Last => Ok(self.0.len()),
            Place::After(anchor) => self.index(anchor).map(|index| index + 1).ok_or(anchor),
            Place::Before(anchor) => self.index(anchor).ok_or(anchor),
            Place::Between(after, before) => {
                self.index(after).map(|index| index + 1).or_else(|| self.index(before)).ok_or(after)
            }
        }
    }
}

impl<N: Fresh> Naive for NaiveList<N> {
    type Machine = List<N::Machine>;

    fn of(list: &Self::Machine) -> Self {
        Self(list.iter().map(|(id, item)| (id, N::of(item))).collect())
    }

    fn agrees(&self, list: &Self::Machine) -> bool {
        let same = |((id, item), (at, machine)): (&(Id, N), (Id, &N::Machine))| {
            *id == at && item.agrees(machine) && list.get(at) == Some(machine)
        };
        self.0.len() == list.len() && self.0.iter().zip(list.iter()).all(same)
    }

    fn apply(&mut self, transition: &TransitionOf<Self>) -> Result<(), ConflictOf<Self>> {
        let gone = ListConflict::NoSuchItem;
        match transition {
            ListTransition::Insert { id, place, item } => {
                if self.index(*id).is_some() {
                    return Err(ListConflict::IdTaken(*id));
                }
                let index = self.index_of(place).map_err(gone)?;
                self.0.insert(index, (*id, N::of(item)));
            }
            ListTransition::Delete(id) => {
                let index = self.index(*id).ok_or(gone(*id))?;
                self.0.remove(index);
            }
            ListTransition::Move { id, place } => {
                let from = self.index(*id).ok_or(gone(*id))?;
                let to = self.index_of(place).map_err(gone)?;
                let item = self.0.remove(from);
                self.0.insert(if from < to { to - 1 } else { to }, item);
            }
            ListTransition::Item(id, inner) => {
                let index = self.index(*id).ok_or(gone(*id))?;
                self.0[index].1.apply(inner).map_err(|conflict| ListConflict::Item(*id, conflict))?;
            }
        }
        Ok(())
    }

    fn act(client: usize, shown: &Self::Machine, random: &mut Random) -> Option<TransitionOf<Self>> {
        let ids: Vec<Id> = shown.iter().map(|(id, _)| id).collect();
        let new = Id::from_bits(u128::from(random.bits()) << 64 | u128::from(random.bits()));
        let is_crowded = ids.first().is_some_and(|first| first.bits() % 8 == 7) && random.percent(95);
        let place = if is_crowded { Place::After(ids[0]) } else { draw_place(&ids, random) };
        let Some(&id) = ids.get(draw_index(ids.len(), random)) else {
            return Some(ListTransition::Insert { id: new, place, item: N::fresh(random) });
        };
        // Everyone inserts at one place, so that its neighbours must make room.
        if is_crowded {
            return Some(ListTransition::Insert { id: new, place, item: N::fresh(random) });
        }
        Some(match random.below(20) {
            0..8 => ListTransition::Insert { id: new, place, item: N::fresh(random) },
            8..11 => shown.delete(id),
            11..15 => shown.move_to(id, place),
            // An id that only others know, so that two may choose the same.
            15 => ListTransition::Insert { id: Id::from_bits(random.below(4).into()), place, item: N::fresh(random) },
            _ => ListTransition::Item(id, N::act(client, shown.get(id)?, random)?),
        })
    }

    /// Two people insert at once: both items are there, each in the requested place. Two move an item: it is there once,
    /// where the later one put it. One deletes what another changes or moves: it stays deleted.
    fn check(history: &History<TransitionOf<Self>>, models: &[Self]) -> Vec<(&'static str, u64)> {
        let end = models.last().expect("there is a first state");
        check_items(&history.accepted, end);
        for accepted in &history.accepted {
            let seq = accepted.seq.0 as usize;
            check_place(&accepted.what, &models[seq - 1], &models[seq]);
        }
        let mut counts = count_places::<N>(history);
        counts.extend(count_items::<N>(history));
        counts
    }
}

/// Counts the times when two people put items into one place.
fn count_places<N: Naive>(history: &History<Change<N>>) -> Vec<(&'static str, u64)> {
    use Place::{After, Before, Between, First, Last};
    let same_place = |is_meant: fn(&Place) -> bool| {
        history.blind_pairs(|a, b| match (a, b) {
            (ListTransition::Insert { place: a, .. }, ListTransition::Insert { place: b, .. }) => a == b && is_meant(a),
            _ => false,
        })
    };
    let between = |is_meant: fn(&Change<N>) -> Option<Id>| {
        history.blind_pairs(|a, b| match (is_meant(a), b) {
            (Some(id), ListTransition::Insert { place: Between(first, second), .. }) => id == *first || id == *second,
            _ => false,
        })
    };
    let anchor_gone = |change: &Change<N>, words: &str| {
        matches!(change, ListTransition::Insert { place: After(_) | Before(_), .. }) && words.contains("NoSuchItem")
    };
    vec![
        ("appended by two at once", same_place(|place| *place == Last)),
        ("prepended by two at once", same_place(|place| *place == First)),
        ("inserted after one item by two at once", same_place(|place| matches!(place, After(_)))),
        ("inserted before one item by two at once", same_place(|place| matches!(place, Before(_)))),
        ("inserted between the same by two at once", same_place(|place| matches!(place, Between(..)))),
        (
            "inserted between, after an unseen deletion of one",
            between(|change| match change {
                ListTransition::Delete(id) => Some(*id),
                _ => None,
            }),
        ),
        (
            "inserted between, after an unseen move of one",
            between(|change| match change {
                ListTransition::Move { id, .. } => Some(*id),
                _ => None,
            }),
        ),
        ("conflict: inserted beside what is gone", history.count_conflicts(anchor_gone)),
    ]
}

/// Counts the times when two people change one item.
fn count_items<N: Naive>(history: &History<Change<N>>) -> Vec<(&'static str, u64)> {
    use ListTransition::{Delete, Insert, Item, Move};
    let pairs = |is_meant: fn(&Change<N>, &Change<N>) -> bool| {
        history.blind_pairs(|a, b| id_of::<N>(a) == id_of::<N>(b) && is_meant(a, b))
    };
    let conflicts = |word: &str, is_meant: fn(&Change<N>) -> bool| {
        history.count_conflicts(|change, words| is_meant(change) && words.contains(word))
    };
    vec![
        ("an item moved by two at once", pairs(|a, b| matches!((a, b), (Move { .. }, Move { .. })))),
        ("an item changed by two at once", pairs(|a, b| matches!((a, b), (Item(..), Item(..))))),
        ("an item changed after an unseen move", pairs(|a, b| matches!((a, b), (Move { .. }, Item(..))))),
        ("an item moved after an unseen change", pairs(|a, b| matches!((a, b), (Item(..), Move { .. })))),
        ("an item deleted over an unseen change", pairs(|a, b| matches!((a, b), (Item(..), Delete(_))))),
        ("an item deleted over an unseen move", pairs(|a, b| matches!((a, b), (Move { .. }, Delete(_))))),
        ("conflict: a change after an unseen deletion", conflicts("NoSuchItem", |change| matches!(change, Item(..)))),
        ("conflict: a move after an unseen deletion", conflicts("NoSuchItem", |change| matches!(change, Move { .. }))),
        ("conflict: a deletion after an unseen one", conflicts("NoSuchItem", |change| matches!(change, Delete(_)))),
        ("conflict: an id taken unseen", conflicts("IdTaken", |change| matches!(change, Insert { .. }))),
    ]
}

/// Every item that is inserted and not deleted is there once, with its changes, and nothing else is.
fn check_items<N: Naive>(history: &[Accepted<Change<N>>], end: &NaiveList<N>) {
    let mut ids = BTreeSet::new();
    for (id, item) in &end.0 {
        assert!(ids.insert(*id), "{id} is there twice");
        let mut expected: Option<N> = None;
        for accepted in history.iter().filter(|accepted| id_of::<N>(&accepted.what) == *id) {
            match &accepted.what {
                ListTransition::Insert { item, .. } => expected = Some(N::of(item)),
                ListTransition::Delete(_) => expected = None,
                ListTransition::Move { .. } => assert!(expected.is_some(), "{id} was moved while it was not there"),
                ListTransition::Item(_, inner) => {
                    let changed = expected.as_mut().map(|item| item.apply(inner));
                    assert!(matches!(changed, Some(Ok(()))), "a change of nothing was accepted: {inner:?}");
                }
            }
        }
        assert_eq!(expected.as_ref(), Some(item), "{id} is not what was done to it alone");
    }
    for (index, accepted) in history.iter().enumerate() {
        let ListTransition::Insert { id, .. } = &accepted.what else { continue };
        let is_deleted =
            history[index..].iter().any(|later| matches!(&later.what, ListTransition::Delete(gone) if gone == id));
        assert!(is_deleted || ids.contains(id), "{id} is lost");
    }
}

/// An item that is put somewhere is there, and all others keep their order.
fn check_place<N: Naive>(change: &Change<N>, before: &NaiveList<N>, after: &NaiveList<N>) {
    let Some(place) = place_of::<N>(change) else { return };
    let id = id_of::<N>(change);
    let others = |list: &NaiveList<N>| list.0.iter().map(|(id, _)| *id).filter(|at| *at != id).collect::<Vec<_>>();
    assert_eq!(others(before), others(after), "putting {id} somewhere has moved others");
    let index = after.index(id).expect("what is put somewhere is there");
    let neighbour = |index: Option<usize>| index.and_then(|index| after.0.get(index)).map(|(id, _)| *id);
    let (left, right) = (neighbour(index.checked_sub(1)), neighbour(Some(index + 1)));
    match *place {
        Place::First => assert_eq!(left, None),
        Place::Last => assert_eq!(right, None),
        Place::After(anchor) => assert!(left == Some(anchor) || anchor == id),
        Place::Before(anchor) => assert!(right == Some(anchor) || anchor == id),
        Place::Between(a, b) => assert!(left == Some(a) || right == Some(b) || [a, b].contains(&id)),
    }
}

/// Returns mostly one of the first ids, so that clients meet.
fn draw_index(length: usize, random: &mut Random) -> usize {
    let end = if random.percent(60) { length.min(3) } else { length };
    random.index(end.max(1))
}

fn draw_place(ids: &[Id], random: &mut Random) -> Place {
    let Some(last) = ids.len().checked_sub(1) else { return Place::Last };
    let index = draw_index(ids.len(), random);
    match random.below(8) {
        0 => Place::First,
        1 => Place::Last,
        2..4 => Place::After(ids[index]),
        4..6 => Place::Before(ids[index]),
        // Mostly neighbours, as from a page.
        6 => Place::Between(ids[index], ids[(index + 1).min(last)]),
        _ => Place::Between(ids[index], ids[random.index(ids.len())]),
    }
}

fn id_of<N: Naive>(change: &Change<N>) -> Id {
    let (ListTransition::Insert { id, .. }
    | ListTransition::Delete(id)
    | ListTransition::Move { id, .. }
    | ListTransition::Item(id, _)) = change;
    *id
}

fn place_of<N: Naive>(change: &Change<N>) -> Option<&Place> {
    match change {
        ListTransition::Insert { place, .. } | ListTransition::Move { place, .. } => Some(place),
        _ => None,
    }
}
