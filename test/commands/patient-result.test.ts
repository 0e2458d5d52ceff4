import { expect, it } from 'vitest';
import { patientResult } from '../../src/commands/patient-result.ts';

/** As gRPC tells of a server: the code, and what it means. */
const refusal = (code: number) => Object.assign(new Error(`${code}`), { code, details: '', metadata: {} });

const answering = (answers: (Error | string)[]) => ({
  asked: 0,
  async result() {
    const answer = answers[this.asked++]!;
    if (answer instanceof Error) throw answer;
    return answer;
  },
});

it('a result is asked for again while the server is busy or away, and is thrown what is no passing trouble', async () => {
  const late = answering([refusal(4), refusal(14), refusal(14), 'done']);
  expect(await patientResult(late, 1)).toBe('done');
  expect(late.asked).toBe(4);
  const failed = new Error('Workflow execution failed');
  for (const error of [failed, refusal(7), refusal(5)]) {
    const once = answering([error, 'done']);
    await expect(patientResult(once, 1)).rejects.toBe(error);
    expect(once.asked).toBe(1);
  }
});
