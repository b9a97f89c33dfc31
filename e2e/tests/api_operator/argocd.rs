//! The health that Argo CD computes: the Lua of `config/gitops`, run as Argo CD runs it (Lua 5.1,
//! with the object as the global `obj`).

use std::{fs, path::Path};

use mlua::{Lua, Table, Value as LuaValue};
use serde_json::Value;

/// `Healthy`, `Progressing` or `Degraded`, and the message beside it.
pub(crate) fn health(object: &Value) -> (String, String) {
    let kind = object["kind"].as_str().unwrap();
    let lua = Lua::new();
    lua.globals().set("obj", to_lua(&lua, object)).unwrap();
    let answer: Table = lua.load(script(kind)).eval().unwrap();
    (
        answer.get("status").unwrap(),
        answer.get("message").unwrap(),
    )
}

fn script(kind: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/gitops/argocd-cm.yaml");
    let map: Value = serde_saphyr::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let key = format!("resource.customizations.health.weft.dev_{kind}");
    map["data"][&key].as_str().unwrap().to_owned()
}

fn to_lua(lua: &Lua, value: &Value) -> LuaValue {
    match value {
        Value::Null => LuaValue::Nil,
        Value::Bool(value) => LuaValue::Boolean(*value),
        Value::Number(number) => LuaValue::Number(number.as_f64().unwrap()),
        Value::String(text) => LuaValue::String(lua.create_string(text).unwrap()),
        Value::Array(items) => {
            let items = items.iter().map(|item| to_lua(lua, item));
            LuaValue::Table(lua.create_sequence_from(items).unwrap())
        }
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(name, value)| (name.as_str(), to_lua(lua, value)));
            LuaValue::Table(lua.create_table_from(fields).unwrap())
        }
    }
}
