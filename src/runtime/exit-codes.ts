/** What commands end with; `infra/README.md` lists them. */
export const exitCodes = {
  done: {
    code: 0,
    meaning:
      'It is done. `npm run worker`: it ended by a rule of its own (`--exit-when-idle`, `--max-shards`, `--max-hours`) or by Ctrl-C, and nothing that it had begun is lost.',
  },
  failed: {
    code: 1,
    meaning: 'It could not be done. One sentence on stderr says what is wrong, what is allowed and what to type.',
  },
  notWhole: {
    code: 3,
    meaning:
      '`siglip2 plan`: the recipe is right as far as it could be looked at; the first lines say what could not be.',
  },
  preempted: {
    code: 20,
    meaning:
      '`npm run worker`: SIGTERM, SIGHUP or a notice of preemption ended it, and what it had begun is committed. Another worker goes on from there.',
  },
  uncommitted: {
    code: 21,
    meaning:
      '`npm run worker`: it was ended before what it had begun was committed. The last commit stands; what came after it is made again.',
  },
  interrupted: {
    code: 130,
    meaning: '`npm run bench`, `curation`, `rounds` or `tuning` was stopped by Ctrl-C or a signal.',
  },
} as const;
