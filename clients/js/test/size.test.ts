import { gzipSync } from 'node:zlib';

import { expect, it } from 'vitest';

import { bundle } from './bundle.js';

/** The most that each entry point may have, in bytes. */
const ENTRIES = { index: 3_000, accounts: 1_200, react: 500, leases: 700 };

it.each(Object.entries(ENTRIES))('%s is small, minified and zipped', async (entry, most) => {
  const bytes = gzipSync(await bundle(`${entry}.ts`, { minify: true }), { level: 9 }).length;
  console.log(`${entry}: ${bytes} of ${most} bytes`);
  expect(bytes).toBeLessThanOrEqual(most);
});
