// The sources as one module, as a bundler makes it; with an edit, as they would be with a mistake.

import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';

import { build } from 'esbuild';

/** A mistake: in which file, and what stands there instead of what. */
export interface Mistake {
  readonly file: string;
  readonly instead: string;
  readonly is: string;
}

export async function bundle(entries: string[], { minify = false, mistake }: { minify?: boolean; mistake?: Mistake } = {}) {
  let isMade = !mistake;
  const { outputFiles } = await build({
    stdin: { contents: entries.map((entry) => `export * from './src/${entry}';`).join(''), resolveDir: '.' },
    bundle: true,
    minify,
    format: 'esm',
    external: ['react'],
    write: false,
    plugins: [
      {
        name: 'mistake',
        setup: ({ onLoad }) =>
          onLoad({ filter: /\/src\/.*\.ts$/ }, async ({ path }) => {
            let contents = await readFile(path, 'utf8');
            if (mistake && basename(path) === mistake.file && contents.includes(mistake.instead)) {
              contents = contents.replace(mistake.instead, () => mistake.is);
              isMade = true;
            }
            return { contents, loader: 'ts' };
          }),
      },
    ],
  });
  if (!isMade) throw new Error(`${mistake?.file} does not say: ${mistake?.instead}`);
  return outputFiles[0]!.contents;
}

/** The URL of a module that is nowhere else. */
export const asUrl = (module: Uint8Array) => `data:text/javascript;base64,${Buffer.from(module).toString('base64')}`;
