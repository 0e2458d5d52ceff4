import { writeFileSync } from 'node:fs';
import { taskJsonSchema } from '../../src/evaluate/tasks/task.ts';

/** `npm run schema`: writes the JSON Schema that editors check tasks against. A test proves that it is current. */
writeFileSync(new URL('task.schema.json', import.meta.url), JSON.stringify(taskJsonSchema()));
