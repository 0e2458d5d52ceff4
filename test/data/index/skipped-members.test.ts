import { describe, expect, it } from 'vitest';
import { SkippedMembers } from '../../../src/data/index/skipped-members.ts';

const member = (name: string, reason: string, shard = 'd/1.tar') => ({ shard, name, reason });

describe('members that were not used', () => {
  it('count once, however often they are drawn, and are told by reason with one of each', () => {
    const skipped = new SkippedMembers([member('a', 'no image member')]);
    const nan = (at: number) => `the JSON member has NaN, which is not JSON: behind "x", character ${at}; write null`;
    const found = [member('b', nan(49)), member('c', nan(50)), member('b', nan(49)), member('a', 'no image member')];
    expect(skipped.add(found).map(({ name }) => name)).toEqual(['b', 'c']);
    expect(skipped.add(found)).toEqual([]);
    // Another shard, another member.
    skipped.add([member('b', 'name of 513 characters, at most 512', 'd/2.tar')]);
    expect(skipped.size).toBe(4);
    expect(skipped.summary()).toEqual({
      members: 4,
      reasons: [
        {
          reason: 'the JSON member has NaN, which is not JSON',
          members: 2,
          example: 'd/1.tar b: behind "x", character 49; write null',
        },
        {
          reason: 'name of ... characters, at most ...',
          members: 1,
          example: 'd/2.tar b: name of 513 characters, at most 512',
        },
        { reason: 'no image member', members: 1, example: 'd/1.tar a' },
      ],
    });
    expect(new SkippedMembers().summary()).toBeNull();
    expect(new SkippedMembers(skipped.list).summary()).toEqual(skipped.summary());
  });

  it('take at most 1 KB in a summary and 16 MB in a manifest, whatever their names', () => {
    for (const character of ['n', '\u0001', '龘', '\ud800', '😀', '"']) {
      const long = character.repeat(512);
      const skipped = new SkippedMembers();
      for (let i = 0; i < 20_000; i++)
        skipped.add([member(`${long}${i}`, `${character.repeat(i % 9)} ${long}: ${long}`, `${long}${i}`)]);
      const summary = skipped.summary()!;
      expect(summary.orMore).toBe(true);
      expect(summary.reasons).toHaveLength(4);
      expect(summary.reasons.reduce((sum, { members }) => sum + members, 0)).toBe(summary.members);
      expect(Buffer.byteLength(JSON.stringify(summary)), character).toBeLessThan(1024);
      expect(Buffer.byteLength(JSON.stringify(skipped.list)), character).toBeLessThan(16 * 1024 * 1024);
    }
  });

  it('are told apart up to 10,000', () => {
    const skipped = new SkippedMembers();
    for (let i = 0; i < 10_000; i++) skipped.add([member(`${i}`, 'no image member')]);
    expect(skipped.summary()).toEqual({
      members: 10_000,
      reasons: [{ reason: 'no image member', members: 10_000, example: 'd/1.tar 0' }],
    });
    skipped.add([member('0', 'no image member'), member('10000', 'no image member')]);
    expect(skipped.summary()).toMatchObject({ members: 10_000, orMore: true });
  });
});
