//! Carries the traffic: accept, identify, decide, enforce, forward.
