import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { exitCodes } from '../../../src/runtime/exit-codes.ts';
import { variables } from '../../../src/runtime/variables.ts';
import { lightQueue, type WorkerOptions, workerProgram } from '../../../src/worker-program.ts';
import { annotateQueue, deviceQueue } from '../../../workflows/policies.ts';
import { testProgram } from '../../support/programs.ts';
import { type Container, examples, type KubernetesObject, objectsOf, podOf, render } from './rendered.ts';

const helm = await testProgram('helm');

const packageVersion = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')).version;
const queueOf = { light: lightQueue, device: deviceQueue, detectors: annotateQueue } as const;
const names = Object.keys(variables);
const isKnown = (name: string) =>
  names.includes(name) || names.some((one) => one.endsWith('*') && name.startsWith(one.slice(0, -1)));
/** Variables that hold what nobody may read. */
const secret = /KEY|SECRET|TOKEN|PASSWORD/;
const component = ({ metadata }: KubernetesObject) =>
  metadata.labels['app.kubernetes.io/component'] as keyof typeof queueOf;
const value = ({ env }: Container, name: string) => env.find((one) => one.name === name)?.value;

describe.skipIf(!helm).each(examples.map((one) => [one.join(' and '), one] as const))(
  'what %s asks for',
  (_, values) => {
    const rendered = helm ? render(helm, values).then(objectsOf) : Promise.resolve([]);
    const pods = async () => {
      const objects = await rendered;
      return objects.flatMap((object) => {
        const pod = podOf(object);
        return pod ? [{ object, pod, container: pod.spec.containers[0]! }] : [];
      });
    };

    it('has light workers as a Deployment, and those that train as Jobs of KEDA on their queue', async () => {
      const found = (await pods()).map(({ object }) => `${object.kind} ${component(object)}`);
      expect(found.slice().sort()).toEqual(
        ['Deployment light', 'ScaledJob device', ...(values[0] === 'cpu' ? ['ScaledJob detectors'] : [])].sort(),
      );
      // What scales on the backlog with a Deployment ends workers that train (keda 7368).
      expect((await rendered).filter(({ kind }) => /ScaledObject|HorizontalPodAutoscaler/.test(kind))).toEqual([]);
    });

    it('serves the queue that it is scaled by', async () => {
      for (const { object, container } of await pods()) {
        const queue = queueOf[component(object)];
        expect(container.args.slice(0, 2)).toEqual(['worker', `--queues=${queue}`]);
        if (object.kind === 'ScaledJob')
          expect(object.spec.triggers).toEqual([
            expect.objectContaining({
              type: 'temporal',
              metadata: expect.objectContaining({
                taskQueue: queue,
                queueTypes: 'activity',
                targetQueueSize: '1',
                endpoint: value(container, 'TEMPORAL_ADDRESS'),
                namespace: value(container, 'TEMPORAL_NAMESPACE'),
              }),
            }),
          ]);
      }
    });

    it('gives the worker flags that it takes, and minds the codes that it ends with', async () => {
      for (const { object, container } of await pods()) {
        const [command, ...flags] = container.args;
        expect(command).toBe('worker');
        let taken: WorkerOptions | undefined;
        const program = workerProgram(async (options) => {
          taken = options;
        });
        await program.exitOverride().parseAsync(flags, { from: 'user' });
        expect(taken?.queues).toEqual([queueOf[component(object)]]);
        if (object.kind !== 'ScaledJob') continue;
        expect(taken?.rules.idleMs).toBe(120_000);
        // Whoever was told to go is replaced, and not counted against the Job.
        const { podFailurePolicy, backoffLimit } = object.spec.jobTargetRef;
        expect(podFailurePolicy).toEqual({
          rules: [
            { action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] },
            {
              action: 'Ignore',
              onExitCodes: {
                containerName: container.name,
                operator: 'In',
                values: [exitCodes.preempted.code, exitCodes.uncommitted.code],
              },
            },
          ],
        });
        expect(backoffLimit).toBe(6);
      }
    });

    it('is what the images are made for', async () => {
      const dockerfile = readFileSync(new URL('../../../infra/images/Dockerfile', import.meta.url), 'utf8');
      for (const { pod, container } of await pods()) {
        const { runAsUser, runAsGroup } = pod.spec.securityContext as Record<string, number>;
        const users = [...dockerfile.matchAll(/^USER (.+)$/gm)].map(([, user]) => user);
        expect(new Set(users)).toEqual(new Set([`${runAsUser}:${runAsGroup}`]));
        const volumes = [...dockerfile.matchAll(/^VOLUME (.+)$/gm)].map(([, path]) => path);
        const written = container.volumeMounts.flatMap((mount) => (mount.readOnly ? [] : [mount.mountPath]));
        expect(written.sort()).toEqual(['/tmp', ...new Set(volumes)]);
        expect(dockerfile).toContain(` AS ${container.image.replace(/^.*:[\d.]+-/, '')}\n`);
      }
    });

    it('ends no worker that trains: not for the queue, not for an upgrade, not for a deadline', async () => {
      for (const { object, pod, container } of await pods()) {
        if (object.kind !== 'ScaledJob') continue;
        const { spec } = object;
        expect(spec.rollout).toEqual({ strategy: 'gradual' });
        // Temporal's backlog lacks what was taken: with another strategy running jobs would be subtracted from it.
        expect(spec.scalingStrategy).toEqual({ strategy: 'accurate', pendingPodConditions: ['Ready'] });
        expect(spec.jobTargetRef).not.toHaveProperty('activeDeadlineSeconds');
        expect(pod.spec).not.toHaveProperty('activeDeadlineSeconds');
        expect(pod.spec.restartPolicy).toBe('Never');
        expect(container.args).toContainEqual(expect.stringMatching(/^--exit-when-idle=\d+/));
        expect(pod.metadata.annotations).toMatchObject({
          'cluster-autoscaler.kubernetes.io/safe-to-evict': 'false',
          'karpenter.sh/do-not-disrupt': 'true',
        });
      }
    });

    it('runs the image of this version that has what it needs', async () => {
      for (const { object, container } of await pods()) {
        const gpu = value(container, 'SIGLIP2_DEVICE') === 'gpu';
        const target = object.kind === 'Deployment' ? 'light' : gpu ? 'worker-cuda' : 'worker-cpu';
        expect(container.image).toBe(`registry.example.org/siglip2-runner:${packageVersion}-${target}`);
      }
    });

    it('leaves a worker longer than it takes itself to commit', async () => {
      for (const { pod, container } of await pods()) {
        const grace = Number(value(container, 'SIGLIP2_GRACE'));
        expect(grace).toBeGreaterThanOrEqual(5);
        expect(pod.spec.terminationGracePeriodSeconds).toBeGreaterThanOrEqual(grace + 10);
      }
    });

    it('runs as nobody, with no rights and nothing to write to but its volumes', async () => {
      for (const { pod, container } of await pods()) {
        expect(pod.spec.securityContext).toMatchObject({
          runAsNonRoot: true,
          runAsUser: 1000,
          seccompProfile: { type: 'RuntimeDefault' },
        });
        expect(container.securityContext).toEqual({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        });
        expect(pod.spec.automountServiceAccountToken).toBe(false);
        expect(pod.spec.containers).toHaveLength(1);
        for (const name of ['hostNetwork', 'hostPID', 'hostIPC', 'initContainers'])
          expect(pod.spec).not.toHaveProperty(name);
        const volumes = new Map(pod.spec.volumes.map((volume) => [volume.name, volume]));
        for (const { name, readOnly } of container.volumeMounts)
          expect(volumes.get(name)).toMatchObject(
            readOnly ? { secret: {} } : { emptyDir: { sizeLimit: expect.stringMatching(/^\d+Gi$/) } },
          );
        expect(volumes.size).toBe(container.volumeMounts.length);
      }
    });

    it('bounds memory and disk, and asks for the disk that its volumes may take', async () => {
      for (const { object, pod, container } of await pods()) {
        const { requests, limits } = container.resources;
        expect(Object.keys(limits)).toEqual(expect.arrayContaining(['memory', 'ephemeral-storage']));
        expect(Object.keys(requests)).toEqual(expect.arrayContaining(['cpu', 'memory', 'ephemeral-storage']));
        // A limit of the CPU would only slow down what nothing else can use.
        expect(limits).not.toHaveProperty('cpu');
        const gibibytes = (text: unknown) => Number(/^(\d+)Gi$/.exec(String(text))![1]);
        const disks = pod.spec.volumes.flatMap(({ emptyDir }) =>
          emptyDir ? [gibibytes((emptyDir as { sizeLimit: string }).sizeLimit)] : [],
        );
        expect(gibibytes(limits['ephemeral-storage'])).toBeGreaterThanOrEqual(
          disks.reduce((sum, size) => sum + size, 0),
        );
        expect(requests['ephemeral-storage']).toBe(limits['ephemeral-storage']);
        const trains = component(object) === 'device' && value(container, 'SIGLIP2_DEVICE') === 'gpu';
        expect(limits['nvidia.com/gpu']).toBe(trains ? 1 : undefined);
      }
    });

    it('names variables that mean something, and no secret as a value', async () => {
      for (const { container } of await pods()) {
        const given = container.env.map(({ name }) => name);
        expect(given.filter((name) => !isKnown(name))).toEqual([]);
        expect(new Set(given).size).toBe(given.length);
        const plain = container.env.filter(({ name, value }) => secret.test(name) && value !== undefined);
        expect(plain.filter(({ name }) => !name.endsWith('_PATH'))).toEqual([]);
        for (const { valueFrom } of container.env)
          if (valueFrom) expect(valueFrom.secretKeyRef).toEqual({ name: expect.any(String), key: expect.any(String) });
      }
      expect((await rendered).filter(({ kind }) => kind === 'Secret')).toEqual([]);
    });

    it('is asked where it answers', async () => {
      for (const { container } of await pods()) {
        expect(value(container, 'SIGLIP2_METRICS')).toBe('0.0.0.0:9464');
        const { startupProbe, livenessProbe, readinessProbe } = container;
        expect([startupProbe, livenessProbe, readinessProbe].map(({ httpGet }) => httpGet)).toEqual([
          { path: '/live', port: 'metrics' },
          { path: '/live', port: 'metrics' },
          { path: '/ready', port: 'metrics' },
        ]);
      }
    });

    it('is found by Prometheus, by the name that its configuration has', async () => {
      const service = (await rendered).find(({ kind }) => kind === 'Service')!;
      expect(service.metadata.name).toBe('trial-metrics');
      expect(service.spec).toMatchObject({ clusterIP: 'None', ports: [{ port: 9464 }] });
      for (const { pod } of await pods()) expect(pod.metadata.labels).toMatchObject(service.spec.selector);
    });

    it('dials out to DNS, Temporal and the store, and lets nobody in', async () => {
      const objects = await rendered;
      const policy = objects.find(({ kind }) => kind === 'NetworkPolicy')!;
      for (const { pod } of await pods())
        expect(pod.metadata.labels).toMatchObject(policy.spec.podSelector.matchLabels);
      expect(policy.spec.policyTypes).toEqual(['Ingress', 'Egress']);
      expect(policy.spec.ingress).toEqual([]);
      const ports = policy.spec.egress.flatMap((rule) => rule.ports.map(({ port }) => port));
      const store = values[0] === 'cpu' ? 7480 : 443;
      expect(ports).toEqual([53, 53, 7233, store, ...(values[0] === 'eks-spot' ? [80] : [])]);
    });

    it('keeps a light worker while nodes are emptied', async () => {
      const budget = (await rendered).find(({ kind }) => kind === 'PodDisruptionBudget')!;
      const light = (await pods()).find(({ object }) => object.kind === 'Deployment')!;
      expect(light.pod.metadata.labels).toMatchObject(budget.spec.selector.matchLabels);
      expect(light.object.spec.replicas).toBeGreaterThan(budget.spec.maxUnavailable);
    });
  },
);
