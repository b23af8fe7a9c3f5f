// Renders openapi.json with RapiDoc, in the colours of the system, and names the fields that the
// component leaves without a name.

const LOOKS = {
  light: {
    theme: 'light', 'bg-color': '#ffffff', 'text-color': '#17202c', 'primary-color': '#1f5fbf',
    'nav-bg-color': '#f5f6f8', 'nav-text-color': '#17202c', 'nav-hover-bg-color': '#eaf1fb', 'nav-hover-text-color': '#17202c',
    'nav-accent-color': '#1f5fbf',
  },
  dark: {
    theme: 'dark', 'bg-color': '#11151a', 'text-color': '#e7ebf0', 'primary-color': '#8ab6ff',
    'nav-bg-color': '#1a2027', 'nav-text-color': '#e7ebf0', 'nav-hover-bg-color': '#1e2a3b', 'nav-hover-text-color': '#e7ebf0',
    'nav-accent-color': '#8ab6ff',
  },
};

const SETTINGS = {
  'spec-url': '/openapi.json',
  'render-style': 'focused',
  'schema-style': 'table',
  'show-header': 'false',
  'show-method-in-nav-bar': 'as-plain-text',
  'use-path-in-nav-bar': 'false',
  'allow-server-selection': 'false',
  'allow-advanced-search': 'true',
  'load-fonts': 'false',
  'regular-font': 'system-ui, sans-serif',
  'mono-font': 'ui-monospace, monospace',
  'update-route': 'true',
};

const reference = document.createElement('rapi-doc');
const dark = matchMedia('(prefers-color-scheme: dark)');

function look() {
  for (const [name, value] of Object.entries(LOOKS[dark.matches ? 'dark' : 'light'])) reference.setAttribute(name, value);
}

/** A screen reader says what a field is for, as the text beside it does. */
function name(root) {
  // One is within the other.
  root.querySelector('nav.nav-bar')?.setAttribute('aria-label', 'Operations');
  root.querySelector('nav.nav-scroll')?.setAttribute('aria-label', 'List of operations');
  for (const field of root.querySelectorAll('input:not([aria-label]), select:not([aria-label]), textarea:not([aria-label])')) {
    const beside = field.closest('td')?.previousElementSibling ?? field.parentElement;
    const text = field.dataset.pname ?? field.placeholder ?? '';
    field.setAttribute('aria-label', text || beside?.textContent.trim().replace(/\s+/g, ' ').slice(0, 60) || 'Value');
  }
}

const watched = new WeakSet();

/** Names the fields of a shadow root and of those within it, now and whenever it changes. */
function watch(root) {
  if (!watched.has(root)) {
    watched.add(root);
    new MutationObserver(() => watch(root)).observe(root, { childList: true, subtree: true });
  }
  name(root);
  for (const { shadowRoot } of root.querySelectorAll('*')) if (shadowRoot) watch(shadowRoot);
}

for (const [setting, value] of Object.entries(SETTINGS)) reference.setAttribute(setting, value);
look();
dark.addEventListener('change', look);
document.body.append(reference);
await customElements.whenDefined('rapi-doc');
watch(reference.shadowRoot);
