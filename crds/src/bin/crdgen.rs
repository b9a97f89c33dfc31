//! Writes the three CustomResourceDefinitions to `config/crd`.

use std::{error::Error, fs, path::Path};

use weft_crds::definitions;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/crd");
    fs::create_dir_all(&folder)?;
    for definition in definitions::definitions() {
        let file = folder.join(definitions::file_name(&definition));
        fs::write(&file, definitions::to_yaml(&definition)?)?;
        println!("{}", file.display());
    }
    Ok(())
}
