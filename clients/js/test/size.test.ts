import { gzipSync } from 'node:zlib';

import { expect, it } from 'vitest';

import { bundle } from './bundle.js';

/** The size limit of each entry point, and of the client with another one in one bundle, in bytes. */
const ENTRIES = {
  index: 3_000, accounts: 1_200, react: 500, leases: 700, dpop: 1_600, 'second-factor': 1_000, 'step-up': 1_100,
  passkeys: 1_950, 'index + dpop': 4_000, 'index + passkeys': 4_350,
};

it.each(Object.entries(ENTRIES))('%s is small, minified and zipped', async (entry, most) => {
  const files = entry.split(' + ').map((name) => `${name}.ts`);
  const bytes = gzipSync(await bundle(files, { minify: true }), { level: 9 }).length;
  console.log(`${entry}: ${bytes} of ${most} bytes`);
  expect(bytes).toBeLessThanOrEqual(most);
});
