import { cpSync, existsSync, lstatSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Progress } from '../../infra/setup/progress.ts';
import { runTool } from '../../infra/setup/run-tool.ts';
import { RunnerError } from '../../src/runtime/errors.ts';

const install = 'on Debian: apt-get install buildah debootstrap';
const bundle = '/etc/ssl/certs/ca-certificates.crt';

/**
 * The image that ours begin with, for a machine that reaches no registry of images: Debian's packages, and Node and npm of
 * this machine in the places where the official image has them. It also carries how this machine's npm and pip are set up,
 * and is never to be published. Returns its name, that of the official one.
 */
export async function provideStandIn(name: string, work: string, progress: Progress): Promise<string> {
  const wanted = /:(\d+\.\d+\.\d+)-/.exec(name)?.[1];
  if (process.versions.node !== wanted)
    throw new RunnerError(
      'SetupMissing',
      `no registry of images answers, and a stand-in for ${name} has the Node of this machine, which is ${process.versions.node}; type the same command with Node ${wanted}`,
    );
  const found = await runTool('buildah', ['images', '--quiet', name], { install }).catch(() => '');
  if (found.trim()) return name;
  const root = join(work, 'stand-in');
  await progress.during(`Making a stand-in for ${name} from Debian's packages`, () =>
    runTool('debootstrap', ['--variant=minbase', '--include=ca-certificates', 'bookworm', root], { install }),
  );
  addNode(root);
  addClients(root);
  await runTool('chroot', [root, 'useradd', '--uid', '1000', '--user-group', '--create-home', 'node']);
  const container = (await runTool('buildah', ['from', 'scratch'], { install })).trim();
  await runTool('buildah', ['add', '--quiet', container, root, '/'], { install });
  const env = ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', `NODE_VERSION=${wanted}`];
  if (existsSync(bundle)) env.push(`NODE_EXTRA_CA_CERTS=${bundle}`, `PIP_CERT=${bundle}`);
  await runTool('buildah', ['config', ...env.flatMap((pair) => ['--env', pair]), container]);
  await runTool('buildah', ['commit', '--quiet', '--rm', container, name]);
  await runTool('rm', ['-rf', '--one-file-system', root]);
  return name;
}

function addNode(root: string): void {
  const local = join(root, 'usr/local');
  cpSync(process.execPath, join(local, 'bin/node'));
  const npm = join(dirname(process.execPath), '../lib/node_modules/npm');
  if (!existsSync(npm)) throw new RunnerError('SetupMissing', `${npm} is not there; install Node with npm`);
  cpSync(npm, join(local, 'lib/node_modules/npm'), { recursive: true });
  for (const name of ['npm', 'npx'])
    symlinkSync(`../lib/node_modules/npm/bin/${name}-cli.js`, join(local, 'bin', name));
}

/** The settings of package clients that a build needs behind a mirror or a proxy. */
function addClients(root: string): void {
  const copy = (from: string, to: string) => {
    if (!lstatSync(from, { throwIfNoEntry: false })) return;
    mkdirSync(dirname(join(root, to)), { recursive: true });
    writeFileSync(join(root, to), readFileSync(from));
  };
  copy(join(homedir(), '.npmrc'), 'root/.npmrc');
  copy('/etc/pip.conf', 'etc/pip.conf');
  copy(bundle, bundle);
}
