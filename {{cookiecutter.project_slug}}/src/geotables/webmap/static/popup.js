// What a popup says of a feature, as its page does.

export function element(name, members = {}, ...children) {
  const made = Object.assign(document.createElement(name), members);
  made.append(...children);
  return made;
}

// What people call a feature: its name before a code, else its id.
export function labelOf({ collection, id, properties }) {
  const label = properties[collection.label];
  return String(label ?? "") || String(id);
}

export function described(feature) {
  const { collection, id, properties } = feature;
  const href = `${collection.url}/items/${inPath(id)}`;
  const table = element("table");
  for (const [name, value] of Object.entries(properties)) {
    if (value !== null && name !== collection.label && name !== collection.key) {
      const row = table.insertRow();
      row.append(element("th", { scope: "row", textContent: name }));
      row.insertCell().append(shown(value));
    }
  }
  return element(
    "section",
    { className: "feature" },
    element("p", { className: "eyebrow" }, `${collection.title ?? collection.id} · `, element("span", { className: "id" }, String(id))),
    element("h3", {}, element("a", { href, textContent: labelOf(feature) })),
    table,
    element("p", {}, element("a", { href, textContent: "Open the page" })),
  );
}

// An id as the service has it in a path (geotables/http/ids.py).
function inPath(id) {
  const text = String(id);
  const escaped = ["", ".", "..", "nearby"].includes(text) || text.startsWith("~") ? `~${text}` : text;
  return encodeURIComponent(escaped);
}

const MOMENT = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(?::\d\d)?(?:\.\d+)?(Z|[+-]\d\d:?\d\d)$/;

function shown(value) {
  if (typeof value === "string" && /^[[{]/.test(value)) {
    // In a tile objects and arrays are text.
    try {
      return shown(JSON.parse(value));
    } catch {
      return value;
    }
  }
  if (typeof value === "boolean") {
    return value ? "yes" : "no";
  }
  if (typeof value === "object") {
    return element("code", {}, JSON.stringify(value, null, 1));
  }
  if (typeof value === "number") {
    return element("span", { className: "number" }, String(value));
  }
  const [, day, time, zone] = MOMENT.exec(value) ?? [];
  if (day) {
    return element("time", { dateTime: value }, `${day} ${time} ${/^(Z|\+00:?00)$/.test(zone) ? "UTC" : zone}`);
  }
  return /^https?:\/\/\S+$/.test(value) ? element("a", { href: value, rel: "nofollow noopener" }, value) : value;
}
