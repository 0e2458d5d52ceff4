import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { runTool } from '../../infra/setup/run-tool.ts';

/** What an image says of itself: buildah's words for the parts of its configuration that a start needs. */
export interface ImageConfig {
  readonly env: Readonly<Record<string, string>>;
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  readonly user: string;
  readonly folder: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly health: readonly string[];
}

export async function imageConfig(image: string): Promise<ImageConfig> {
  const { Docker } = JSON.parse(await runTool('buildah', ['inspect', '--type', 'image', image]));
  const { config } = Docker;
  return {
    env: Object.fromEntries(
      config.Env.map((pair: string) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]),
    ),
    entrypoint: config.Entrypoint,
    command: config.Cmd,
    user: config.User,
    folder: config.WorkingDir,
    labels: config.Labels,
    health: config.Healthcheck.Test,
  };
}

/**
 * Starts `args` in the root file system of an image the way a container would: its user, no capabilities, no new
 * privileges, a read-only root with a volume at /var/lib/siglip2 and a small /tmp in memory, as process 1 of a process
 * namespace of its own. The network is this machine's. Needs root.
 */
export function contain(
  root: string,
  config: ImageConfig,
  args: readonly string[],
  options: { readonly volume: string; readonly env?: Readonly<Record<string, string>> },
): ChildProcessWithoutNullStreams {
  const env = Object.entries({ HOME: '/home/node', ...config.env, ...options.env }).map(
    ([name, value]) => `${name}=${value}`,
  );
  const script = `
    set -e
    mount --bind "$ROOT" "$ROOT"
    mount -t proc proc "$ROOT/proc"
    mount --rbind /dev "$ROOT/dev"
    mount -o size=256m -t tmpfs tmpfs "$ROOT/tmp"
    chmod 1777 "$ROOT/tmp"
    mount --bind "$VOLUME" "$ROOT/var/lib/siglip2"
    mount -o remount,ro,bind "$ROOT"
    exec chroot "$ROOT" /usr/bin/setpriv --reuid="\${USER_SPEC%:*}" --regid="\${USER_SPEC#*:}" --clear-groups \
      --no-new-privs --bounding-set=-all --inh-caps=-all \
      /usr/bin/env --ignore-environment --chdir="$FOLDER" "$@"`;
  const namespaces = ['--mount', '--propagation', 'private', '--pid', '--fork', '--kill-child=SIGTERM'];
  return spawn('unshare', [...namespaces, 'sh', '-c', script, 'sh', ...env, ...args], {
    env: {
      PATH: process.env.PATH,
      ROOT: root,
      VOLUME: options.volume,
      USER_SPEC: config.user,
      FOLDER: config.folder,
    },
  });
}

/** Sends a signal to process 1 of what `contain` has started; `unshare`, which waits for it, takes none. */
export function signalContained(child: ChildProcessWithoutNullStreams, signal: NodeJS.Signals): void {
  const inside = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim();
  if (inside) process.kill(Number(inside), signal);
}

/** The root file system of an image, to be read: mounted until `release`. */
export async function mountImage(image: string): Promise<{ readonly root: string; release(): Promise<void> }> {
  const container = (await runTool('buildah', ['from', '--pull=never', image])).trim();
  const root = (await runTool('buildah', ['mount', container])).trim();
  return {
    root,
    release: async () => {
      await runTool('buildah', ['umount', container]);
      await runTool('buildah', ['rm', container]);
    },
  };
}
