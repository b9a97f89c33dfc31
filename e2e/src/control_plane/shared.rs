//! One control plane for all tests of a test binary.

use tokio::sync::OnceCell;

use super::ControlPlane;

static SHARED: OnceCell<Result<ControlPlane, String>> = OnceCell::const_new();

impl ControlPlane {
    /// The control plane that every test of this process shares; the first to ask starts it.
    /// Tests that share it keep to a namespace each.
    ///
    /// A static is never dropped. What stops it is the end of the process: the kernel kills both
    /// servers then, and their folder is removed, as for a process that was killed itself.
    ///
    /// # Errors
    /// Why it did not start, the same for every test: a build that failed once is not tried again
    /// by each of them.
    pub async fn shared() -> Result<&'static Self, String> {
        SHARED
            .get_or_init(|| async { Self::start().await.map_err(|error| error.to_string()) })
            .await
            .as_ref()
            .map_err(Clone::clone)
    }
}
