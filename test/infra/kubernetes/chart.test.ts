import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { type Answer, answerOf } from '../../support/answer-of.ts';
import { testProgram } from '../../support/programs.ts';
import { chart, examples, kubeVersion, objectsOf, render } from './rendered.ts';
import { writeSchemas } from './schemas.ts';

const helm = await testProgram('helm');
const kubeconform = await testProgram('kubeconform');
const schemas = writeSchemas();
afterAll(() => rmSync(schemas, { recursive: true, force: true }));

const kinds = '{{ .ResourceKind }}{{ .KindSuffix }}.json';

/** What kubeconform says of objects, by Kubernetes' and KEDA's own schemas, where a field that is not known is an error. */
function validate(text: string): Promise<Answer> {
  const child = spawn(kubeconform!, ['-strict', '-summary', '-schema-location', `${schemas}/${kinds}`, '-']);
  child.stdin.end(text);
  return answerOf(child);
}

describe.skipIf(!helm || !kubeconform)('the chart', () => {
  it.each(examples.map((one) => [one.join(' and '), one] as const))(
    'makes objects of %s that Kubernetes and KEDA know in every field',
    async (_, values) => {
      const text = await render(helm!, values);
      const count = objectsOf(text).length;
      expect(await validate(text)).toEqual({
        code: 0,
        out: `Summary: ${count} resources found parsing stdin - Valid: ${count}, Invalid: 0, Errors: 0, Skipped: 0\n`,
        said: '',
      });
    },
  );

  it('is not taken as right where a field of Kubernetes or of KEDA is misspelt', async () => {
    const text = await render(helm!, ['cpu']);
    for (const [right, wrong, kind] of [
      ['pendingPodConditions', 'pendingPodCondition', 'ScaledJob'],
      ['strategy: gradual', 'strategy: slowly', 'ScaledJob'],
      ['readOnlyRootFilesystem', 'readOnlyRootFileSystem', 'Deployment'],
      ['podFailurePolicy', 'podFailurePolicies', 'ScaledJob'],
    ] as const) {
      expect(text).toContain(right);
      const { code, out } = await validate(text.replaceAll(right, wrong));
      expect([code, out]).toEqual([1, expect.stringContaining(`${kind} trial-`)]);
    }
  });

  it('has nothing that helm lint complains of', async () => {
    const values = ['cpu', 'temporal-cloud'].flatMap((name) => ['--values', `${chart}/../examples/${name}.yaml`]);
    const images = ['--set', 'images.repository=one'];
    const { code, out } = await answerOf(
      spawn(helm!, ['lint', '--strict', chart, ...kubeVersion, ...values, ...images]),
    );
    expect([code, out]).toEqual([0, expect.stringContaining('1 chart(s) linted, 0 chart(s) failed')]);
  });

  it.each([
    ['temporal.address=', 'temporal.address is empty; set the address of Temporal, HOST:PORT'],
    ['temporal.address=temporal.example.org', 'it has to be HOST:PORT'],
    ['store.bucket=', 'store.bucket is empty; set the name of the bucket'],
    ['store.secret=', 'make a Secret with access-key-id and secret-access-key and name it here'],
    ['temporal.auth=mtls', 'temporal.auth is mtls and temporal.secret is empty'],
    ['images.repository=', 'images.repository is empty'],
    [
      'device.commitSeconds=290',
      'a commit takes 290 s (device.commitSeconds) and a worker that is told to end has 290 s',
    ],
    ['device.terminationGracePeriodSeconds=14', 'device'],
    ['device.maxWorker=3', 'maxWorker'],
    ['device.exitWhenIdle=soon', 'exitWhenIdle'],
    ['store.endpoint=s3.example.org', 'endpoint'],
  ])('says in a sentence what is wrong with %s', async (set, sentence) => {
    const { stderr } = await render(helm!, ['cpu'], [set]).then(
      () => expect.fail(`helm took ${set}`),
      (error: { stderr: string }) => error,
    );
    expect(stderr).toContain(sentence);
  });
});
