// @vitest-environment happy-dom

import { act, StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { renderToString } from 'react-dom/server';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { createClient, type Client } from '../src/index.js';
import { useSession } from '../src/react.js';
import { Service } from './service.js';

let service: Service;
let client: Client;

beforeEach(() => {
  vi.stubGlobal('IS_REACT_ACT_ENVIRONMENT', true);
  service = new Service();
  // No channel: the other tests share the process.
  client = createClient({ baseUrl: 'https://auth.example.com', fetch: service.fetch, channel: null, locks: null });
});

afterEach(() => {
  client.close();
  vi.unstubAllGlobals();
});

let rendered = 0;

function Greeting({ of }: { of: Client }) {
  const { status, user } = useSession(of);
  rendered += 1;
  return <p>{user ? `Hello ${user.name}` : status}</p>;
}

async function render() {
  const place = document.createElement('div');
  const root = createRoot(place);
  await act(async () => root.render(<StrictMode><Greeting of={client} /></StrictMode>));
  return { text: () => place.textContent, unmount: () => act(async () => root.unmount()) };
}

it('resumes the session that the browser has, once', async () => {
  await client.signIn({ name: 'ada', password: 'right' });
  client.close();
  client = createClient({ baseUrl: 'https://auth.example.com', fetch: service.fetch, channel: null, locks: null });
  service.requests = [];
  const page = await render();
  await act(async () => void (await client.resume()));
  expect(page.text()).toBe('Hello ada');
  expect(service.requests).toEqual(['/refresh']);
});

it('shows sign-in, another user and sign-out as they happen', async () => {
  const page = await render();
  await act(async () => void (await client.resume()));
  expect(page.text()).toBe('signed_out');
  for (const name of ['ada', 'grace']) {
    await act(async () => void (await client.signIn({ name, password: 'right' })));
    expect(page.text()).toBe(`Hello ${name}`);
  }
  await act(() => client.signOut());
  expect(page.text()).toBe('signed_out');
});

it('shows that nobody is signed in if the key of the session is gone', async () => {
  await client.signIn({ name: 'ada', password: 'right' });
  client.close();
  Object.assign(service.latest, { jkt: 'of a key that the browser has deleted' });
  client = createClient({ baseUrl: 'https://auth.example.com', fetch: service.fetch, channel: null, locks: null });
  const page = await render();
  await act(async () => void (await client.resume()));
  expect(page.text()).toBe('signed_out');
});

it('renders again only if something has changed', async () => {
  const page = await render();
  await act(async () => void (await client.resume()));
  const before = rendered;
  await act(async () => void (await client.resume()));
  expect(rendered).toBe(before);
  await page.unmount();
  await client.signIn({ name: 'ada', password: 'right' });
  expect(rendered).toBe(before);
});

it('knows nothing on a server, whoever is signed in there', async () => {
  await client.signIn({ name: 'ada', password: 'right' });
  expect(renderToString(<Greeting of={client} />)).toBe('<p>unknown</p>');
});
