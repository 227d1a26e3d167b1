// Examples from a JSON Schema, so that nobody has to read one to try a machine.

const DEPTH_MAX = 8;

/** Returns a value for each alternative of `schema`. */
export function examplesOf(schema) {
  const alternatives = schema.oneOf ?? schema.anyOf ?? [schema];
  return alternatives.flatMap((alternative) => alternative.enum ?? [valueOf(alternative, schema, 0)]);
}

/** Returns the plainest value that `schema` allows; `root` holds the definitions that it refers to. */
function valueOf(schema, root, depth) {
  if (schema === true || depth > DEPTH_MAX) return null;
  if (schema.$ref) return valueOf(definition(schema.$ref, root), root, depth + 1);
  if (schema.const !== undefined) return schema.const;
  if (schema.default !== undefined) return schema.default;
  if (schema.enum) return schema.enum[0];
  const [first] = schema.oneOf ?? schema.anyOf ?? schema.allOf ?? [];
  if (first) return valueOf(first, root, depth + 1);
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  if (type === "object" || schema.properties) {
    const properties = Object.entries(schema.properties ?? {});
    return Object.fromEntries(properties.map(([name, property]) => [name, valueOf(property, root, depth + 1)]));
  }
  if (type === "array") return (schema.prefixItems ?? []).map((item) => valueOf(item, root, depth + 1));
  if (type === "string") return "";
  if (type === "boolean") return false;
  if (type === "integer" || type === "number") return Math.max(1, schema.minimum ?? 1);
  return null;
}

function definition(reference, root) {
  return reference.slice(2).split("/").reduce((at, step) => at?.[step], root) ?? true;
}
