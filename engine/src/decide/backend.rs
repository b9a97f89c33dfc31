//! Drawing a backend.

use crate::documents::Backend;

/// Picks a backend by weight. `draw` is uniform over `u64`: the engine has no randomness of its
/// own. `None` when no weight is above 0.
pub fn pick_backend(backends: &[Backend], draw: u64) -> Option<&Backend> {
    let total: u64 = backends
        .iter()
        .map(|backend| u64::from(backend.weight))
        .sum();
    // Multiply-shift maps the draw onto 0..total without the bias of a remainder.
    let mut point = ((u128::from(draw) * u128::from(total)) >> 64) as u64;
    backends.iter().find(|backend| {
        let weight = u64::from(backend.weight);
        let here = point < weight;
        point = point.saturating_sub(weight);
        here
    })
}
