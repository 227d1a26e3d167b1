use reapply_guest::machine;

pub struct Todo;

#[machine(state_version = 1)]
impl Todo {}

#[machine(state_version = 1)]
impl Default for Todo {
    fn default() -> Self {
        Self
    }
}

#[machine(state_version = 1)]
fn main() {}
