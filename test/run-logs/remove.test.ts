import { afterEach, beforeEach, expect, it } from 'vitest';
import { remove } from '../../src/commands/remove.ts';
import { logsHere, place, speaker } from './fixture.ts';

let here: ReturnType<typeof logsHere>;
beforeEach(() => {
  here = logsHere();
});
afterEach(() => here.close());

const lines = async (yes: boolean) => {
  const said: string[] = [];
  for await (const line of remove(here.store, 'pets', { run: 'pets' }, yes)) said.push(line);
  return said;
};

it('rm RUN takes its log along, also of a run that came to nothing else, and no log of another', async () => {
  const logs = await here.open();
  const places = [place, { run: 'pets', phase: null }, { run: 'pets-2', phase: 'pretrain' }];
  for (const [i, one] of places.entries()) logs.at(one, { ...speaker, attempt: `a${i}` }).say('info', {}, 'said');
  await logs.close(1000);
  expect(here.store.objects.size).toBe(3);

  expect(await lines(false)).toContain('logs/pets/  its log, 2 objects');
  expect(here.store.objects.size).toBe(3);
  expect((await lines(true)).at(-1)).toBe('deleted');
  expect([...here.store.objects.keys()]).toEqual([expect.stringMatching(/^logs\/pets-2\/pretrain\//)]);
  await expect(lines(true)).rejects.toMatchObject({ code: 'ObjectMissing' });
});
