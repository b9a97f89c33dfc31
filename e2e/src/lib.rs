//! A real Kubernetes API to test against, the bookstore services, and the stories told on them.
