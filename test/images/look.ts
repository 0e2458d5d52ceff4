import assert from 'node:assert/strict';
import { images } from '../../src/runtime/image.ts';
import { codeVersion } from '../../src/runtime/version.ts';
import type { Opened } from './opened.ts';

/** What can be told of an image without any service: who it runs as, what it can write to, what it says of itself. */
export async function lookAtImage(opened: Opened, say: (line: string) => void): Promise<void> {
  const { image, config } = opened;
  assert.deepEqual([config.user, config.folder], ['1000:1000', '/opt/siglip2/app']);
  assert.equal(config.labels['org.opencontainers.image.version'], codeVersion());
  assert.deepEqual(config.health, ['CMD', 'node', '/opt/siglip2/app/infra/images/health.mjs']);

  const doctor = await opened.run(['siglip2', 'doctor']);
  assert.equal(doctor.code, 0, doctor.out + doctor.said);
  say(`${image}: doctor, as user ${config.user}`);
  process.stdout.write(doctor.out.replace(/^(?=.)/gm, '           '));
  // The same by npm, as in a clone: nothing is installed.
  const typed = await opened.inside(['npm', 'run', '--silent', 'siglip2', '--', 'doctor']);
  assert.deepEqual([typed.code, typed.out], [0, doctor.out], typed.said);

  const places = ['/opt/siglip2/app/x', '/opt/siglip2/cache/x', '/home/node/x', '/tmp/x', '/var/lib/siglip2/x'];
  const touched = await opened.inside([
    'sh',
    '-c',
    `id -u; for f in ${places.join(' ')}; do touch $f 2>/dev/null && echo $f; done; grep -E 'NoNewPrivs|CapEff' /proc/self/status`,
  ]);
  assert.equal(touched.out, '1000\n/tmp/x\n/var/lib/siglip2/x\nCapEff:\t0000000000000000\nNoNewPrivs:\t1\n');

  const parts = JSON.parse((await opened.inside(['cat', '/opt/siglip2/sbom.json'])).out);
  const names = parts.components.map(({ name }: { name: string }) => name);
  assert.ok(names.includes('@temporalio/worker') && !names.includes('vitest'), 'sbom.json lists other parts');
  assert.equal(names.includes('@tensorflow/tfjs-node-gpu'), images[image].tensorflow);
  // A worker would have to bundle the workflows at each start.
  const kept = await opened.inside(['sh', '-c', 'ls /opt/siglip2/cache/workflows | wc -l']);
  assert.equal(kept.out.trim(), '2');
  const compilers = await opened.inside(['sh', '-c', 'command -v c++ gcc python3 pip; true']);
  assert.equal(compilers.out, '');
  say(`${image}: root read-only, no capabilities, ${names.length} npm packages in sbom.json, no compiler`);
}
