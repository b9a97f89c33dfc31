//! Writes the Helm chart to `config/chart`.

use std::{error::Error, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/chart");
    // What is no longer generated goes.
    if folder.is_dir() {
        fs::remove_dir_all(&folder)?;
    }
    for (path, text) in weft_install::chart()? {
        let file = folder.join(path);
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&file, text)?;
        println!("{}", file.display());
    }
    Ok(())
}
