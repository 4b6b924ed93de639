//! `json_query`: JMESPath, as community.general has it.
//!
//! Where a query makes a dictionary, its keys are sorted; Python's `jmespath` keeps the order of the query.

use super::args::{Args, Registry, fail};
use minijinja::{Error, Value, value::Serde};

pub(super) fn register(r: &mut Registry<'_>) {
    r.add("json_query", "value query", json_query);
}

fn json_query(_: &mut minijinja::State<'_, '_>, a: &Args) -> Result<Value, Error> {
    let text = a.str(1).ok_or_else(|| fail("needs the argument 'query'"))?;
    // Only what is no JMESPath as it stands is read as Python's `jmespath` reads it.
    let query = jmespath::compile(&text).or_else(|why| jmespath::compile(&quoted(&text)).map_err(|_| why));
    let query = query.map_err(|why| fail(format!("'{text}' is not JMESPath: {}", one_line(&why))))?;
    let found = query.search(a.value()).map_err(|why| fail(format!("the query '{text}' failed: {}", one_line(&why))))?;
    Ok(Value::from(Serde(&*found)))
}

/// Literals as JMESPath wants them: Python's `jmespath` still reads `` `bob` `` as the text `bob`, and so people write it.
fn quoted(query: &str) -> String {
    let mut out = String::with_capacity(query.len());
    let mut pieces = query.split('`');
    out.extend(pieces.next());
    while let Some(literal) = pieces.next() {
        let json = serde_json::from_str::<serde_json::Value>(literal).is_ok();
        let text = if json { literal.to_owned() } else { serde_json::Value::from(literal.trim()).to_string() };
        let Some(rest) = pieces.next() else { return query.to_owned() };
        out.extend(["`", &text, "`", rest]);
    }
    out
}

/// Its reason without the drawing below it.
fn one_line(why: &jmespath::JmespathError) -> String {
    why.to_string().lines().next().unwrap_or_default().trim_end_matches(':').to_owned()
}
