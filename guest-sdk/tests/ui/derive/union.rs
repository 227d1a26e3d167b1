use reapply_guest::StateMachine;

#[derive(Clone, Copy, StateMachine)]
pub union Either {
    number: u32,
    letter: char,
}

fn main() {}
