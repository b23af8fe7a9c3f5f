import { readFile } from 'node:fs/promises';

import { expect, it } from 'vitest';

import { CODES } from '../src/codes.js';

it('the codes are those that openapi.json shows', async () => {
  const text = await readFile(new URL('../../../openapi.json', import.meta.url), 'utf8');
  const shown = new Set<string>();
  JSON.parse(text, (_name, value) => {
    if (String(value?.type).startsWith('urn:ratchet:problem:')) shown.add(value.code);
    return value;
  });
  expect([...CODES]).toEqual([...shown].sort());
});
