import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { RunnerError } from '../../src/runtime/errors.ts';
import type { Wheel } from './pins.ts';
import { folderMegabytes, type Progress } from './progress.ts';
import { runTool } from './run-tool.ts';
import { requireSha256 } from './verify.ts';

const installPython = 'install Python 3 with pip (on Debian: apt-get install python3-pip)';

// What glibc 2.28 can run; pip wants every tag by name, since none is that of the local Python.
const tags = ['2_28', '2_27', '2_24', '2_18', '2_17', '2_12'].map((version) => `manylinux_${version}`);

function platformOptions(): string[] {
  const arch = process.arch === 'arm64' ? 'aarch64' : 'x86_64';
  const platforms = [...tags, 'manylinux2014', 'manylinux2010'].flatMap((tag) => ['--platform', `${tag}_${arch}`]);
  // One wheel whatever the local Python is: only its libraries are used.
  const python = ['--python-version', '3.12', '--implementation', 'cp', '--abi', 'cp312', '--abi', 'none'];
  return [...python, ...platforms];
}

/**
 * Downloads a wheel with pip, so that mirrors, proxies and certificates are those that the machine is set up
 * for, and checks it against its pin. Returns the file, in `folder`.
 */
export async function downloadWheel(wheel: Wheel, folder: string, progress: Progress): Promise<string> {
  const into = join(folder, wheel.project);
  await rm(into, { recursive: true, force: true });
  await mkdir(into, { recursive: true });
  const fetch = ['download', '--quiet', '--no-deps', '--only-binary=:all:', '--no-cache-dir', '--dest', into];
  const env = { ...process.env, TMPDIR: into };
  await progress.during(
    `Downloading ${wheel.project} ${wheel.version} (Python package index)`,
    () =>
      runTool('python3', ['-m', 'pip', ...fetch, ...platformOptions(), `${wheel.project}==${wheel.version}`], {
        env,
        install: installPython,
      }),
    () => folderMegabytes(into),
  );
  const name = (await readdir(into)).find((file) => file.endsWith('.whl'));
  if (!name) throw new RunnerError('SetupMissing', `pip gave no wheel of ${wheel.project} ${wheel.version}`);
  await requireSha256(join(into, name), wheel.sha256);
  return join(into, name);
}

const unpackScript = `
import re, sys, zipfile
wheel, folder, wanted = sys.argv[1], sys.argv[2], re.compile(sys.argv[3])
with zipfile.ZipFile(wheel) as archive:
    for member in archive.infolist():
        if wanted.match(member.filename):
            path = archive.extract(member, folder)
            if member.external_attr >> 16 & 0o111:
                import os
                os.chmod(path, 0o755)
`;

/** Unpacks the members of a wheel whose path matches `wanted`, a regular expression, from its beginning. */
export async function unpackWheel(file: string, folder: string, wanted: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await runTool('python3', ['-c', unpackScript, file, folder, wanted], { install: installPython });
}
