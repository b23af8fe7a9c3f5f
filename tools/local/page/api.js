// Renders openapi.json: every operation with what it takes, answers and refuses.

const api = await (await fetch('/openapi.json')).json();

function element(name, ...children) {
  const made = document.createElement(name);
  made.append(...children);
  return made;
}

/** Follows a reference within the document. */
function resolve(value) {
  if (!value?.$ref) return value ?? {};
  return resolve(value.$ref.slice(2).split('/').reduce((at, key) => at?.[key.replaceAll('~1', '/')], api));
}

function typeOf(schema) {
  const { type, items, enum: values, oneOf, anyOf } = resolve(schema);
  if (values) return values.map((value) => JSON.stringify(value)).join(' or ');
  if (oneOf || anyOf) return (oneOf ?? anyOf).map(typeOf).join(' or ');
  if (type === 'array') return `list of ${typeOf(items)}`;
  return [type ?? 'object'].flat().join(' or ');
}

function fields(schema) {
  const { properties = {}, required = [] } = resolve(schema);
  const rows = Object.entries(properties).map(([name, property]) =>
    element(
      'tr',
      element('th', element('code', name)),
      element('td', `${typeOf(property)}${required.includes(name) ? '' : ', optional'}`),
      element('td', property.description ?? resolve(property).description ?? ''),
    ),
  );
  return rows.length ? element('table', element('tbody', ...rows)) : '';
}

function content({ content: types = {} }) {
  return Object.entries(types).flatMap(([type, { schema, example, examples }]) => [
    element('p', element('code', type)),
    fields(schema),
    ...Object.values(examples ?? (example ? { example: { value: example } } : {})).map(({ summary, value }) => {
      const text = typeof value === 'string' ? value : JSON.stringify(value, null, 2);
      const pre = element('pre', text);
      pre.tabIndex = 0;
      return element('details', element('summary', summary ?? 'Example'), pre);
    }),
  ]);
}

function operation(method, path, { summary, description, parameters = [], requestBody, responses }) {
  const title = element('h2', element('code', `${method.toUpperCase()} ${path}`), ` ${summary ?? ''}`);
  const parts = [title];
  if (description) parts.push(element('p', description));
  const named = parameters.map(resolve).map(({ name, in: place, description: text }) =>
    element('li', element('code', name), ` (${place}) ${text ?? ''}`),
  );
  if (named.length) parts.push(element('h3', 'Parameters'), element('ul', ...named));
  if (requestBody) parts.push(element('h3', 'Takes'), ...content(resolve(requestBody)));
  for (const [status, reference] of Object.entries(responses)) {
    const response = resolve(reference);
    const summaryLine = element('summary', element('code', status), ` ${response.description ?? ''}`);
    parts.push(element('details', summaryLine, ...content(response)));
  }
  return element('section', ...parts);
}

document.getElementById('description').textContent = api.info.description ?? '';
document.getElementById('operations').replaceChildren(
  ...Object.entries(api.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, described]) => operation(method, path, described)),
  ),
);
