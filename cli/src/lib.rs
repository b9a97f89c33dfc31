//! weft: what an operator of the mesh types.
