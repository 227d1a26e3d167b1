//! `Board`.

use std::collections::BTreeSet;

use reapply_guest::{Board, BoardConflict, BoardTransition, Id, Place};
use reapply_simulation::{History, Random};

use crate::naive::{ConflictOf, Fresh, Naive, TransitionOf};

/// The columns in order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NaiveColumns<C, N>(Vec<NaiveColumn<C, N>>);

/// A column, and its items in order.
#[derive(Clone, Debug, PartialEq)]
struct NaiveColumn<C, N> {
    id: Id,
    column: C,
    items: Vec<(Id, N)>,
}

impl<C, N> Default for NaiveColumns<C, N> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// A change of a board of `N`s in `C`s.
type Change<C, N> = BoardTransition<<C as Naive>::Machine, <N as Naive>::Machine>;

/// Returns the index of a place among these; or the missing anchor.
fn index_of(ids: &[Id], place: Place) -> Result<usize, Id> {
    let at = |anchor| ids.iter().position(|id| *id == anchor).ok_or(anchor);
    match place {
        Place::First => Ok(0),
        Place::Last => Ok(ids.len()),
        Place::After(anchor) => at(anchor).map(|index| index + 1),
        Place::Before(anchor) => at(anchor),
        Place::Between(after, before) => at(after).map(|index| index + 1).or_else(|gone| at(before).map_err(|_| gone)),
    }
}

/// Returns the new index of an item that is moved from `from` to `place`.
fn index_after_taking(ids: &[Id], from: usize, place: Place) -> Result<usize, Id> {
    index_of(ids, place).map(|to| if from < to { to - 1 } else { to })
}

impl<C: Naive, N: Naive> NaiveColumns<C, N> {
    fn column(&self, id: Id) -> Result<usize, ConflictOf<Self>>
    where
        C: Fresh,
        N: Fresh,
    {
        self.0.iter().position(|column| column.id == id).ok_or(BoardConflict::NoSuchColumn(id))
    }

    fn item(&self, id: Id) -> Option<(usize, usize)> {
        let at = |column: &NaiveColumn<C, N>| column.items.iter().position(|(other, _)| *other == id);
        self.0.iter().enumerate().find_map(|(index, column)| Some((index, at(column)?)))
    }

    fn ids(&self) -> Vec<Id> {
        self.0.iter().map(|column| column.id).collect()
    }
}

impl<C, N> NaiveColumn<C, N> {
    fn ids(&self) -> Vec<Id> {
        self.items.iter().map(|(id, _)| *id).collect()
    }
}

impl<C: Fresh, N: Fresh> Naive for NaiveColumns<C, N> {
    type Machine = Board<C::Machine, N::Machine>;

    fn of(board: &Self::Machine) -> Self {
        let columns = board.iter().map(|(id, column, items)| {
            let items = items.iter().map(|(id, item)| (id, N::of(item))).collect();
            NaiveColumn { id, column: C::of(column), items }
        });
        Self(columns.collect())
    }

    fn agrees(&self, board: &Self::Machine) -> bool {
        let is_home = |(column, id): (Id, Id)| board.column_of(id) == Some(column);
        let homes = self.0.iter().flat_map(|column| column.ids().into_iter().map(move |id| (column.id, id)));
        Self::of(board) == *self && homes.clone().all(is_home) && homes.count() == board.len()
    }

    fn apply(&mut self, transition: &TransitionOf<Self>) -> Result<(), ConflictOf<Self>> {
        use BoardConflict::{ColumnIdTaken, ColumnNotEmpty, IdTaken, NoSuchColumn, NoSuchItem};
        match transition {
            BoardTransition::Insert { id, column, place, item } => {
                if self.item(*id).is_some() {
                    return Err(IdTaken(*id));
                }
                let column = self.column(*column)?;
                let index = index_of(&self.0[column].ids(), *place).map_err(NoSuchItem)?;
                self.0[column].items.insert(index, (*id, N::of(item)));
            }
            BoardTransition::Delete(id) => {
                let (column, index) = self.item(*id).ok_or(NoSuchItem(*id))?;
                self.0[column].items.remove(index);
            }
            BoardTransition::Move { id, column, place } => {
                let (from, index) = self.item(*id).ok_or(NoSuchItem(*id))?;
                let to = self.column(*column)?;
                let ids = self.0[to].ids();
                let place = if from == to { index_after_taking(&ids, index, *place) } else { index_of(&ids, *place) };
                let place = place.map_err(NoSuchItem)?;
                let item = self.0[from].items.remove(index);
                self.0[to].items.insert(place, item);
            }
            BoardTransition::Item(id, inner) => {
                let (column, index) = self.item(*id).ok_or(NoSuchItem(*id))?;
                let item = &mut self.0[column].items[index].1;
                item.apply(inner).map_err(|conflict| BoardConflict::Item(*id, conflict))?;
            }
            BoardTransition::InsertColumn { id, place, column } => {
                if self.column(*id).is_ok() {
                    return Err(ColumnIdTaken(*id));
                }
                let index = index_of(&self.ids(), *place).map_err(NoSuchColumn)?;
                self.0.insert(index, NaiveColumn { id: *id, column: C::of(column), items: Vec::new() });
            }
            BoardTransition::DeleteColumn(id) => {
                let column = self.column(*id)?;
                if !self.0[column].items.is_empty() {
                    return Err(ColumnNotEmpty(*id));
                }
                self.0.remove(column);
            }
            BoardTransition::MoveColumn { id, place } => {
                let from = self.column(*id)?;
                let to = index_after_taking(&self.ids(), from, *place).map_err(NoSuchColumn)?;
                let column = self.0.remove(from);
                self.0.insert(to, column);
            }
            BoardTransition::Column(id, inner) => {
                let column = self.column(*id)?;
                self.0[column].column.apply(inner).map_err(|conflict| BoardConflict::Column(*id, conflict))?;
            }
        }
        Ok(())
    }

    fn act(client: usize, shown: &Self::Machine, random: &mut Random) -> Option<TransitionOf<Self>> {
        let columns: Vec<Id> = shown.iter().map(|(id, _, _)| id).collect();
        let few = |random: &mut Random| Id::from_bits(random.below(5).into());
        let new = Id::from_bits(random.bits().into());
        if columns.len() < 2 {
            return Some(shown.insert_column(few(random), Place::Last, C::fresh(random)));
        }
        let column = columns[random.index(columns.len())];
        let neighbours: Vec<Id> = shown.items(column)?.iter().map(|(id, _)| id).take(4).collect();
        let place = draw_place(&neighbours, random);
        let items: Vec<Id> = shown.iter().flat_map(|(_, _, items)| items.iter().map(|(id, _)| id).take(2)).collect();
        let item = *items.get(random.index(items.len().max(1))).unwrap_or(&new);
        Some(match random.below(24) {
            0..3 => shown.insert(new, column, place, N::fresh(random)),
            3..5 => shown.insert(few(random), column, place, N::fresh(random)),
            5..12 => shown.move_to(item, column, place),
            12..16 => BoardTransition::Item(item, N::act(client, shown.get(item)?, random)?),
            16..18 => shown.delete(item),
            18 => shown.insert_column(few(random), draw_place(&columns, random), C::fresh(random)),
            19..21 => shown.delete_column(column),
            21 => shown.move_column(column, draw_place(&columns, random)),
            _ => BoardTransition::Column(column, C::act(client, shown.column(column)?, random)?),
        })
    }

    /// Every item is there once, with all its changes, wherever it moved; and it is where it was put last.
    fn check(history: &History<TransitionOf<Self>>, models: &[Self]) -> Vec<(&'static str, u64)> {
        use BoardTransition::{Column, Delete, DeleteColumn, Insert, Item, Move, MoveColumn};
        check_items(history, models);
        let pairs = |is_meant: fn(&Change<C, N>, &Change<C, N>) -> bool| history.blind_pairs(is_meant);
        let conflicts = |word: &str, is_meant: fn(&Change<C, N>) -> bool| {
            history.count_conflicts(|change, words| is_meant(change) && words.contains(word))
        };
        vec![
            (
                "changed after an unseen move",
                pairs(|a, b| matches!((a, b), (Move { id, .. }, Item(of, _)) if id == of)),
            ),
            (
                "moved after an unseen change",
                pairs(|a, b| matches!((a, b), (Item(of, _), Move { id, .. }) if id == of)),
            ),
            (
                "moved by two at once to different columns",
                pairs(|a, b| match (a, b) {
                    (Move { id: a, column: one, .. }, Move { id: b, column: other, .. }) => a == b && one != other,
                    _ => false,
                }),
            ),
            (
                "a column moved or changed while items move into it",
                pairs(|a, b| match (a, b) {
                    (MoveColumn { id, .. } | Column(id, _), Move { column, .. }) => id == column,
                    _ => false,
                }),
            ),
            (
                "deleted over an unseen move",
                pairs(|a, b| matches!((a, b), (Move { id, .. }, Delete(gone)) if id == gone)),
            ),
            ("conflict: moved after an unseen deletion", conflicts("NoSuchItem", |what| matches!(what, Move { .. }))),
            ("conflict: changed after an unseen deletion", conflicts("NoSuchItem", |what| matches!(what, Item(..)))),
            (
                "conflict: put into a column that is gone",
                conflicts("NoSuchColumn", |what| matches!(what, Insert { .. } | Move { .. })),
            ),
            (
                "conflict: a column deleted that has items",
                conflicts("ColumnNotEmpty", |what| matches!(what, DeleteColumn(_))),
            ),
            ("conflict: an id taken unseen", conflicts("\"IdTaken\"", |what| matches!(what, Insert { .. }))),
        ]
    }
}

fn check_items<C: Fresh, N: Fresh>(history: &History<Change<C, N>>, models: &[NaiveColumns<C, N>]) {
    let end = models.last().expect("there is a first state");
    let mut ids = BTreeSet::new();
    for (id, item) in end.0.iter().flat_map(|column| &column.items) {
        assert!(ids.insert(*id), "{id} is there twice");
        let mut expected: Option<N> = None;
        for accepted in &history.accepted {
            match &accepted.what {
                BoardTransition::Insert { id: of, item, .. } if of == id => expected = Some(N::of(item)),
                BoardTransition::Delete(of) if of == id => expected = None,
                BoardTransition::Item(of, inner) if of == id => {
                    let changed = expected.as_mut().map(|item| item.apply(inner));
                    assert!(matches!(changed, Some(Ok(()))), "a change of nothing was accepted: {inner:?}");
                }
                _ => {}
            }
        }
        assert_eq!(expected.as_ref(), Some(item), "{id} is not what was done to it alone");
    }
    for accepted in &history.accepted {
        let after = &models[accepted.seq.0 as usize];
        match &accepted.what {
            BoardTransition::Insert { id, column, .. } | BoardTransition::Move { id, column, .. } => {
                let home = after.item(*id).map(|(index, _)| after.0[index].id);
                assert_eq!(home, Some(*column), "{id} is not where it was put");
            }
            BoardTransition::Delete(id) => assert_eq!(after.item(*id), None),
            _ => {}
        }
    }
}

fn draw_place(ids: &[Id], random: &mut Random) -> Place {
    let Some(&id) = ids.get(random.index(ids.len().max(1))) else { return Place::Last };
    match random.below(6) {
        0 => Place::First,
        1 | 2 => Place::Last,
        3 => Place::After(id),
        4 => Place::Before(id),
        _ => Place::Between(id, ids[random.index(ids.len())]),
    }
}
