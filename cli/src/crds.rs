use crate::{
    command::Crds,
    exit::{Failure, Outcome},
};

pub(crate) fn run(_arguments: &Crds) -> Result<(String, Outcome), Failure> {
    todo!()
}
