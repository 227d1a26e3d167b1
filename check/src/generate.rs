//! Random values that a schema describes: mostly ordinary ones, often at the bounds, often seen before.

use serde_json::{Map, Value};

use crate::pattern::matching;
use crate::pool::Pool;
use crate::random::Random;
use crate::schema::{Schema, constrains};

/// The depth below which values are as small as the schema allows.
const DEPTH_MAX: usize = 12;

/// The depth below which there are no values: the schema is endless.
const DEPTH_END: usize = 40;

/// The number of parts of one value after which parts are as small as the schema allows.
const PARTS_MAX: usize = 1000;

/// The maximum number of items in most unbounded lists and maps, and in a few of them.
const ITEMS_FEW: i128 = 4;
const ITEMS_MANY: i128 = 40;

/// Percentages of values that equal or resemble an example: for each example, and for all together.
const EXAMPLES: usize = 10;
const EXAMPLES_MAX: usize = 40;

/// The maker of values for one history.
pub(crate) struct Generator<'a> {
    schema: &'a Schema,
    pub(crate) pool: Pool,
    pub(crate) random: Random,
    /// The preferences of this history for some variants: some faults need many of one kind first.
    tastes: u64,
    parts_left: usize,
    /// Whether values with rules beyond their schema are taken only from examples and from views.
    is_careful: bool,
}

impl<'a> Generator<'a> {
    pub(crate) fn new(schema: &'a Schema, mut random: Random) -> Self {
        let tastes = random.bits();
        Self { schema, pool: Pool::default(), random, tastes, parts_left: 0, is_careful: false }
    }

    /// Returns a value for the root schema.
    pub(crate) fn generate(&mut self) -> Value {
        self.parts_left = PARTS_MAX;
        self.value(self.schema.root(), 0)
    }

    /// Returns a value for a type that refuses more than its schema says. If the schema has examples, returns one of them unchanged, or a
    /// value of the same form from a view.
    pub(crate) fn generate_carefully(&mut self) -> Value {
        self.is_careful = true;
        let value = self.generate();
        self.is_careful = false;
        value
    }

    /// Returns this value with one part changed.
    pub(crate) fn mutate(&mut self, value: &Value) -> Value {
        let mut value = value.clone();
        let leaves = count_leaves(&value);
        let mut leaf = self.random.below(leaves);
        self.mutate_leaf(&mut value, &mut leaf);
        value
    }

    fn is_large(&self, depth: usize) -> bool {
        depth > DEPTH_MAX || self.parts_left == 0
    }

    fn value(&mut self, schema: &'a Value, depth: usize) -> Value {
        self.parts_left = self.parts_left.saturating_sub(1);
        let Some(keywords) = schema.as_object().filter(|_| depth < DEPTH_END) else {
            return self.anything(schema == &Value::Bool(true));
        };
        if let Some(example) = self.example(keywords) {
            return example;
        }
        if let Some(constant) = keywords.get("const") {
            return constant.clone();
        }
        if let Some(value) = keywords.get("enum").and_then(Value::as_array).and_then(|values| self.random.pick(values))
        {
            return value.clone();
        }
        // A schema may combine several. An object has the properties of all of them; any other value fits one.
        let mut value = keywords.get("type").map(|types| self.typed(schema, keywords, types, depth));
        let referent = keywords.get("$ref").and_then(Value::as_str).and_then(|name| self.schema.referent(name));
        let all = keywords.get("allOf").and_then(Value::as_array).into_iter().flatten();
        let one = ["oneOf", "anyOf"].into_iter().filter_map(|keyword| keywords.get(keyword)?.as_array());
        let one: Vec<&Value> = one.filter_map(|branches| self.branch(branches, depth)).collect();
        for part in referent.into_iter().chain(all).chain(one) {
            let made = self.value(part, depth + 1);
            value = Some(match (value, made) {
                (Some(Value::Object(mut properties)), Value::Object(more)) => {
                    properties.extend(more);
                    Value::Object(properties)
                }
                (_, made) => made,
            });
        }
        value.unwrap_or_else(|| {
            if keywords.contains_key("properties") {
                self.object(keywords, depth)
            } else {
                self.anything(!constrains(schema))
            }
        })
    }

    fn example(&mut self, keywords: &Map<String, Value>) -> Option<Value> {
        let examples = keywords.get("examples")?.as_array()?;
        if self.is_careful {
            let shown = self.pool.object(keywords, &mut self.random).filter(|_| self.random.percent(50));
            return shown.or_else(|| self.random.pick(examples).cloned());
        }
        if !self.random.percent((EXAMPLES * examples.len()).min(EXAMPLES_MAX)) {
            return None;
        }
        let example = self.random.pick(examples)?.clone();
        Some(if self.random.percent(60) { self.mutate(&example) } else { example })
    }

    /// Returns one of a schema's branches. Variants without content, which schemars combines, count as one each.
    fn branch(&mut self, branches: &'a [Value], depth: usize) -> Option<&'a Value> {
        let possible: Vec<&Value> = branches.iter().filter(|branch| !self.schema.is_impossible(branch)).collect();
        if self.is_large(depth) {
            return possible.into_iter().min_by_key(|branch| self.schema.follow(branch).to_string().len());
        }
        let variants = |branch: &Value| branch.get("enum").and_then(Value::as_array).map_or(1, Vec::len);
        let weights: Vec<usize> = possible.iter().map(|branch| variants(branch)).collect();
        possible.get(self.choose(&weights)).copied()
    }

    /// Returns one of several, by their weights and by this history's preferences. A history leaves some variants out altogether, so that
    /// it reaches states that would otherwise never last.
    fn choose(&mut self, weights: &[usize]) -> usize {
        let among = Random::new(self.tastes, weights.len() as u64).bits();
        let taste = |index: usize| [0, 1, 3, 9][Random::new(among, index as u64).below(4)];
        let mut tasted: Vec<usize> = weights.iter().enumerate().map(|(index, weight)| weight * taste(index)).collect();
        if tasted.iter().sum::<usize>() == 0 {
            tasted = weights.to_vec();
        }
        let mut left = self.random.below(tasted.iter().sum());
        for (index, weight) in tasted.into_iter().enumerate() {
            if left < weight {
                return index;
            }
            left -= weight;
        }
        0
    }

    fn typed(&mut self, schema: &'a Value, keywords: &'a Map<String, Value>, types: &'a Value, depth: usize) -> Value {
        let name = match types {
            Value::Array(names) => self.random.pick(names).and_then(Value::as_str),
            _ => types.as_str(),
        };
        match name.unwrap_or("null") {
            "boolean" => Value::Bool(self.random.percent(50)),
            "array" => self.array(keywords, depth),
            "object" => self.object(keywords, depth),
            "null" => Value::Null,
            scalar => {
                let again = if self.random.percent(30) { self.pool.again(schema, &mut self.random) } else { None };
                let value = again.unwrap_or_else(|| match scalar {
                    "integer" => self.integer(keywords),
                    "number" => self.number(keywords),
                    _ => self.text(keywords),
                });
                self.pool.keep(schema, &value, &mut self.random);
                value
            }
        }
    }

    fn array(&mut self, keywords: &'a Map<String, Value>, depth: usize) -> Value {
        let first = keywords.get("prefixItems").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let rest = keywords.get("items").filter(|items| *items != &Value::Bool(false));
        let count = self.count(keywords, ["minItems", "maxItems"], depth).max(first.len() as i128);
        let schemas = first.iter().map(Some).chain(std::iter::repeat(rest));
        let schemas = schemas.take(usize::try_from(count).unwrap_or(0)).flatten();
        let mut items: Vec<Value> = schemas.map(|schema| self.value(schema, depth + 1)).collect();
        if keywords.get("uniqueItems") == Some(&Value::Bool(true)) {
            let mut unique = Vec::with_capacity(items.len());
            items.into_iter().for_each(|item| {
                if !unique.contains(&item) {
                    unique.push(item)
                }
            });
            items = unique;
        }
        Value::Array(items)
    }

    fn object(&mut self, keywords: &'a Map<String, Value>, depth: usize) -> Value {
        let mut made = Map::new();
        let required = keywords.get("required").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        for (name, schema) in keywords.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let is_required = required.iter().any(|required| required == name);
            if is_required || !self.is_large(depth) && self.random.percent(60) {
                made.insert(name.clone(), self.value(schema, depth + 1));
            }
        }
        let by_pattern = keywords.get("patternProperties").and_then(Value::as_object).into_iter().flatten();
        let by_pattern = by_pattern.map(|(pattern, schema)| (Some(pattern.as_str()), schema));
        let others = keywords.get("additionalProperties").filter(|schema| schema.is_object());
        for (pattern, schema) in by_pattern.chain(others.map(|schema| (None, schema))) {
            for _ in 0..self.count(keywords, ["minProperties", "maxProperties"], depth) {
                let name = match (pattern, keywords.get("propertyNames")) {
                    (Some(pattern), _) => matching(pattern, &mut self.random).map(Value::String),
                    (None, Some(names)) => Some(self.value(names, depth + 1)),
                    (None, None) => Some(self.text(&Map::new())),
                };
                if let Some(Value::String(name)) = name {
                    made.insert(name, self.value(schema, depth + 1));
                }
            }
        }
        Value::Object(made)
    }

    fn count(&mut self, keywords: &Map<String, Value>, bounds: [&str; 2], depth: usize) -> i128 {
        let [least, most] = bounds.map(|bound| keywords.get(bound).and_then(Value::as_u64).map(i128::from));
        let least = least.unwrap_or(0);
        if self.is_large(depth) {
            return least;
        }
        let usual = if self.random.percent(3) { ITEMS_MANY } else { ITEMS_FEW };
        self.random.between(least, most.unwrap_or(i128::MAX).min(least + usual))
    }

    fn anything(&mut self, is_free: bool) -> Value {
        if is_free {
            self.random.pick(&[Value::Null, 0.into(), "a".into()]).cloned().unwrap_or_default()
        } else {
            Value::Null
        }
    }

    fn mutate_leaf(&mut self, value: &mut Value, leaf: &mut usize) {
        match value {
            Value::Array(items) if !items.is_empty() => items.iter_mut().for_each(|item| self.mutate_leaf(item, leaf)),
            Value::Object(properties) if !properties.is_empty() => {
                properties.values_mut().for_each(|property| self.mutate_leaf(property, leaf));
            }
            _ => {
                if *leaf == 0 {
                    *value = self.other(value);
                }
                *leaf = leaf.wrapping_sub(1);
            }
        }
    }
}

fn count_leaves(value: &Value) -> usize {
    match value {
        Value::Array(items) if !items.is_empty() => items.iter().map(count_leaves).sum(),
        Value::Object(properties) if !properties.is_empty() => properties.values().map(count_leaves).sum(),
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use schemars::{JsonSchema, schema_for};
    use serde_json::json;

    use super::*;

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is used")]
    enum Everything {
        Unit,
        Numbers(u8, i16, u32, f32, f64),
        Option(Option<bool>),
        List(Vec<Everything>),
        Map(BTreeMap<String, u8>),
        ByNumber(BTreeMap<u16, ()>),
        Struct {
            text: String,
            #[schemars(with = "String", extend("format" = "uuid"))]
            id: u128,
            #[schemars(with = "String", extend("format" = "int64", "pattern" = "^-?[0-9]+$"))]
            large: i64,
            #[schemars(extend("minLength" = 3, "maxLength" = 4))]
            short: String,
            #[schemars(range(min = 3, max = 5))]
            few: u64,
            #[schemars(extend("pattern" = "^#[0-9a-f]{6}$"))]
            colour: String,
        },
    }

    #[test]
    fn what_is_made_for_a_schema_is_valid() {
        let schema = Schema::new(schema_for!(Everything).into());
        assert!(schema.unknown.is_empty(), "{:?}", schema.unknown);
        let mut kinds = BTreeMap::new();
        for seed in 0..400 {
            let mut generator = Generator::new(&schema, Random::new(seed, 0));
            for _ in 0..10 {
                let value = generator.generate();
                assert_eq!(schema.validate(&value), Ok(()), "seed {seed}: {value}");
                *kinds.entry(schema.kind(&value)).or_insert(0) += 1;
            }
        }
        assert_eq!(kinds.len(), schema.kinds().len(), "{kinds:?}");
        assert!(kinds.values().all(|count| *count > 200), "{kinds:?}");
    }

    #[derive(JsonSchema)]
    enum Nobody {}

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is used")]
    enum Somebody {
        Known(u8),
        Never(u8, Nobody),
        Neither { nobody: Nobody },
    }

    #[test]
    fn what_cannot_be_is_neither_made_nor_a_kind() {
        let schema = Schema::new(schema_for!(Somebody).into());
        assert_eq!(schema.kinds(), ["Known"]);
        let mut generator = Generator::new(&schema, Random::new(1, 0));
        assert!((0..100).all(|_| schema.kind(&generator.generate()) == "Known"));
    }

    #[test]
    fn a_careful_value_has_its_examples_as_they_are_or_as_they_were_shown() {
        let form = json!({ "type": "object", "properties": { "of": { "type": "integer" } }, "required": ["of"], "examples": [{ "of": 1 }] });
        let schema = Schema::new(json!({ "type": "array", "items": form, "minItems": 4 }));
        let mut generator = Generator::new(&schema, Random::new(1, 0));
        generator.pool.look(&json!([{ "of": 2 }, { "of": 3, "more": 4 }]), &mut Random::new(2, 0));
        let made: Vec<Value> =
            (0..50).flat_map(|_| generator.generate_carefully().as_array().cloned().unwrap()).collect();
        assert!(made.iter().all(|item| [json!({ "of": 1 }), json!({ "of": 2 })].contains(item)), "{made:?}");
        assert!(made.contains(&json!({ "of": 1 })) && made.contains(&json!({ "of": 2 })), "{made:?}");
    }

    #[test]
    fn a_schema_that_contains_itself_makes_small_values() {
        let schema = Schema::new(json!({ "type": "array", "items": { "$ref": "#" }, "minItems": 1 }));
        let value = Generator::new(&schema, Random::new(1, 0)).generate();
        assert!(value.to_string().len() < 1 << 20);
    }

    #[test]
    fn ids_that_were_shown_are_drawn_again() {
        let schema = Schema::new(json!({ "type": "string", "format": "uuid" }));
        let shown = json!("01234567-89ab-cdef-0123-456789abcdef");
        let mut generator = Generator::new(&schema, Random::new(1, 0));
        generator.pool.look(&json!({ "items": [{ "id": shown }] }), &mut Random::new(2, 0));
        let hits = (0..100).filter(|_| generator.generate() == shown).count();
        assert!((20..90).contains(&hits), "{hits}");
    }

    #[test]
    fn examples_are_used_as_they_are_and_changed() {
        let schema = Schema::new(json!({ "type": "string", "examples": ["only this", "this too"] }));
        let mut generator = Generator::new(&schema, Random::new(1, 0));
        let hits = (0..200).filter(|_| generator.generate() == json!("only this")).count();
        assert!((5..150).contains(&hits), "{hits}");
        assert_eq!(generator.mutate(&json!({ "a": [true] })), json!({ "a": [false] }));
    }
}
