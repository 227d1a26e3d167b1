//! Machines of machines, as `#[derive(StateMachine)]` makes them.

use std::mem::discriminant;

use reapply_guest::{Atom, Counter, Id, List, Map, Set, StateMachine, Text};
use reapply_simulation::{History, Random};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::atom::{NaiveAtom, Sample};
use crate::counter::NaiveCounter;
use crate::list::NaiveList;
use crate::map::NaiveMap;
use crate::naive::{Fresh, Naive};
use crate::set::NaiveSet;
use crate::text::NaiveText;

/// A task: an item of a list.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema, StateMachine)]
pub(crate) struct Todo {
    pub(crate) label: Atom<String>,
    pub(crate) done: Atom<bool>,
}

/// One of several machines at a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, StateMachine)]
pub(crate) enum Answer {
    Words(Atom<String>),
    Number(Counter),
}

/// All blocks in one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema, StateMachine)]
pub(crate) struct Board {
    title: Atom<String>,
    votes: Counter,
    todos: List<Todo>,
    answers: Map<Id, Answer>,
    tags: Set<u8>,
    notes: Text,
}

impl Default for Answer {
    fn default() -> Self {
        Self::Number(Counter::default())
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct NaiveTodo {
    label: NaiveAtom<String>,
    done: NaiveAtom<bool>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum NaiveAnswer {
    Words(NaiveAtom<String>),
    Number(NaiveCounter),
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct NaiveBoard {
    title: NaiveAtom<String>,
    votes: NaiveCounter,
    todos: NaiveList<NaiveTodo>,
    answers: NaiveMap<Id, NaiveAnswer>,
    tags: NaiveSet,
    notes: NaiveText,
}

impl Default for NaiveAnswer {
    fn default() -> Self {
        Self::Number(NaiveCounter::default())
    }
}

/// Checks one part of a machine by its transitions and their outcomes.
macro_rules! check_part {
    ($history:ident, $models:ident, $transition:ident :: $variant:ident, $field:ident) => {{
        let of_part = $history.part(|what| match what {
            $transition::$variant(what) => Some(what.clone()),
            _ => None,
        });
        let _ = Naive::check(&of_part, &$models.iter().map(|model| model.$field.clone()).collect::<Vec<_>>());
    }};
}

impl Naive for NaiveTodo {
    type Machine = Todo;

    fn of(todo: &Todo) -> Self {
        Self { label: NaiveAtom::of(&todo.label), done: NaiveAtom::of(&todo.done) }
    }

    fn apply(&mut self, transition: &TodoTransition) -> Result<(), TodoConflict> {
        match transition {
            TodoTransition::Label(label) => self.label.apply(label).map_err(TodoConflict::Label),
            TodoTransition::Done(done) => self.done.apply(done).map_err(TodoConflict::Done),
        }
    }

    fn act(_client: usize, shown: &Todo, random: &mut Random) -> Option<TodoTransition> {
        Some(match random.below(2) {
            0 => shown.map_label(|label| label.replace(String::draw(random))),
            _ => shown.map_done(|done| done.replace(!**done)),
        })
    }

    fn check(history: &History<TodoTransition>, models: &[Self]) -> Vec<(&'static str, u64)> {
        check_part!(history, models, TodoTransition::Label, label);
        check_part!(history, models, TodoTransition::Done, done);
        let is_other = |a: &TodoTransition, b: &TodoTransition| discriminant(a) != discriminant(b);
        vec![("two fields changed at once", history.blind_pairs(is_other))]
    }
}

impl Fresh for NaiveTodo {
    fn fresh(random: &mut Random) -> Todo {
        Todo { label: String::draw(random).into(), done: bool::draw(random).into() }
    }
}

impl Naive for NaiveAnswer {
    type Machine = Answer;

    fn of(answer: &Answer) -> Self {
        match answer {
            Answer::Words(words) => Self::Words(NaiveAtom::of(words)),
            Answer::Number(number) => Self::Number(NaiveCounter::of(number)),
        }
    }

    fn apply(&mut self, transition: &AnswerTransition) -> Result<(), AnswerConflict> {
        let is_not = |wanted, is| Err(AnswerConflict::IsNot { wanted, is });
        match (self, transition) {
            (answer, AnswerTransition::Become(other)) => {
                *answer = Self::of(other);
                Ok(())
            }
            (Self::Words(words), AnswerTransition::Words(inner)) => words.apply(inner).map_err(AnswerConflict::Words),
            (Self::Number(number), AnswerTransition::Number(inner)) => {
                number.apply(inner).map_err(AnswerConflict::Number)
            }
            (Self::Words(_), AnswerTransition::Number(_)) => is_not(AnswerVariant::Number, AnswerVariant::Words),
            (Self::Number(_), AnswerTransition::Words(_)) => is_not(AnswerVariant::Words, AnswerVariant::Number),
        }
    }

    fn act(client: usize, shown: &Answer, random: &mut Random) -> Option<AnswerTransition> {
        if random.percent(25) {
            return Some(AnswerTransition::Become(Self::fresh(random)));
        }
        match shown {
            Answer::Words(words) => NaiveAtom::act(client, words, random).map(AnswerTransition::Words),
            Answer::Number(number) => NaiveCounter::act(client, number, random).map(AnswerTransition::Number),
        }
    }

    /// One changes the variant while another changes its content: only changes to the new variant are in it.
    fn check(history: &History<AnswerTransition>, models: &[Self]) -> Vec<(&'static str, u64)> {
        let accepted = &history.accepted;
        let last = accepted.iter().rposition(|accepted| matches!(accepted.what, AnswerTransition::Become(_)));
        let mut end = match last.map(|last| &accepted[last].what) {
            Some(AnswerTransition::Become(answer)) => Self::of(answer),
            _ => Self::default(),
        };
        for accepted in &accepted[last.map_or(0, |last| last + 1)..] {
            assert_eq!(end.apply(&accepted.what), Ok(()), "a change of what it was not was accepted");
        }
        assert_eq!(models.last(), Some(&end), "what it became last does not stand");
        let is_become = |transition: &AnswerTransition| matches!(transition, AnswerTransition::Become(_));
        vec![
            ("made another variant by two at once", history.blind_pairs(|a, b| is_become(a) && is_become(b))),
            ("changed after an unseen change of variant", history.blind_pairs(|a, b| is_become(a) && !is_become(b))),
            ("made another variant over an unseen change", history.blind_pairs(|a, b| !is_become(a) && is_become(b))),
            ("conflict: it is another variant", history.count_conflicts(|_, words| words.contains("IsNot"))),
        ]
    }
}

impl Fresh for NaiveAnswer {
    fn fresh(random: &mut Random) -> Answer {
        if random.percent(50) {
            Answer::Words(NaiveAtom::fresh(random))
        } else {
            Answer::Number(NaiveCounter::fresh(random))
        }
    }
}

impl Naive for NaiveBoard {
    type Machine = Board;

    fn of(board: &Board) -> Self {
        Self {
            title: NaiveAtom::of(&board.title),
            votes: NaiveCounter::of(&board.votes),
            todos: NaiveList::of(&board.todos),
            answers: NaiveMap::of(&board.answers),
            tags: NaiveSet::of(&board.tags),
            notes: NaiveText::of(&board.notes),
        }
    }

    fn agrees(&self, board: &Board) -> bool {
        self.title.agrees(&board.title)
            && self.votes.agrees(&board.votes)
            && self.todos.agrees(&board.todos)
            && self.answers.agrees(&board.answers)
            && self.tags.agrees(&board.tags)
            && self.notes.agrees(&board.notes)
    }

    fn apply(&mut self, transition: &BoardTransition) -> Result<(), BoardConflict> {
        match transition {
            BoardTransition::Title(title) => self.title.apply(title).map_err(BoardConflict::Title),
            BoardTransition::Votes(votes) => self.votes.apply(votes).map_err(BoardConflict::Votes),
            BoardTransition::Todos(todos) => self.todos.apply(todos).map_err(BoardConflict::Todos),
            BoardTransition::Answers(answers) => self.answers.apply(answers).map_err(BoardConflict::Answers),
            BoardTransition::Tags(tags) => self.tags.apply(tags).map_err(BoardConflict::Tags),
            BoardTransition::Notes(notes) => self.notes.apply(notes).map_err(BoardConflict::Notes),
        }
    }

    fn act(client: usize, shown: &Board, random: &mut Random) -> Option<BoardTransition> {
        Some(match random.below(12) {
            0 => BoardTransition::Title(NaiveAtom::act(client, &shown.title, random)?),
            1 => BoardTransition::Votes(NaiveCounter::act(client, &shown.votes, random)?),
            2 => BoardTransition::Tags(NaiveSet::act(client, &shown.tags, random)?),
            3..6 => BoardTransition::Todos(NaiveList::<NaiveTodo>::act(client, &shown.todos, random)?),
            6..9 => BoardTransition::Answers(NaiveMap::<_, NaiveAnswer>::act(client, &shown.answers, random)?),
            _ => BoardTransition::Notes(NaiveText::act(client, &shown.notes, random)?),
        })
    }

    /// Two people change two fields at once: neither notices. So a field keeps the same promises here as alone; the number of times two
    /// people meet is counted where it is alone.
    fn check(history: &History<BoardTransition>, models: &[Self]) -> Vec<(&'static str, u64)> {
        check_part!(history, models, BoardTransition::Title, title);
        check_part!(history, models, BoardTransition::Votes, votes);
        check_part!(history, models, BoardTransition::Todos, todos);
        check_part!(history, models, BoardTransition::Answers, answers);
        check_part!(history, models, BoardTransition::Tags, tags);
        check_part!(history, models, BoardTransition::Notes, notes);
        let is_other = |a: &BoardTransition, b: &BoardTransition| discriminant(a) != discriminant(b);
        vec![("two fields changed at once", history.blind_pairs(is_other))]
    }
}
