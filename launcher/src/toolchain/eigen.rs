//! Where Eigen is, which `faasm/matrix.h` needs.

use std::path::PathBuf;

use super::ToolchainError;

/// Where distributions put it.
const PLACES: [&str; 2] = ["/usr/include/eigen3", "/usr/local/include/eigen3"];
const HEADER: &str = "Eigen/Core";

/// The directory that has `Eigen/Core`: what the user names, or the system's.
///
/// # Errors
/// [`ToolchainError::Eigen`] when the named directory has none.
pub fn find() -> Result<Option<PathBuf>, ToolchainError> {
    if let Some(path) = std::env::var_os("MOBULA_EIGEN").filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        return match path.canonicalize() {
            Ok(path) if path.join(HEADER).is_file() => Ok(Some(path)),
            _ => Err(ToolchainError::Eigen { path }),
        };
    }
    Ok(PLACES.iter().map(PathBuf::from).find(|path| path.join(HEADER).is_file()))
}
