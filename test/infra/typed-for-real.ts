/** Lines of the pages that page-run.test.ts types, in this order; all others are parsed alone. The first half hour, and what a model is then good for: */
const firstHalfHour = [
  'export SIGLIP2_PRICE=1.2',
  'npm run up',
  'eval "$(npm run -s siglip2 -- env)"',
  'aws s3 cp --recursive ./shards "s3://$SIGLIP2_BUCKET/data/pets/train"',
  'aws s3 cp --recursive ./held-out "s3://$SIGLIP2_BUCKET/data/pets/held-out"',
  'npm run siglip2 -- plan pets.json',
  'temporal workflow start --type siglip2Recipe --task-queue siglip2 --workflow-id pets --input-file pets.json',
  'temporal workflow query --type status --workflow-id pets',
  'temporal workflow update execute --workflow-id pets --name pause',
  'npm run siglip2 -- status pets',
  'npm run siglip2 -- metrics pets ./figures',
  'temporal workflow update execute --workflow-id pets --name resume',
  'temporal workflow update execute --workflow-id pets --name checkpointNow',
  'temporal workflow cancel --workflow-id pets',
  'npm run siglip2 -- ls pets',
  'npm run siglip2 -- pull pets ./pets',
  'npm run siglip2 -- embed --model ./pets --image cat.jpg --text "a cat" "a dog"',
  'npm run siglip2 -- import ./siglip2-base-patch16-256 base',
  'npm run siglip2 -- logs pets',
  'npm run siglip2 -- export-onnx pets ./pets-onnx',
  'npm run siglip2 -- average base tuned/finetune --weights 0.4 0.6 --out ./between',
  'npm run siglip2 -- data embed held-out data/held-out --model pets/pretrain@900',
  'npm run siglip2 -- search web "a red car" --top 20',
  'npm run siglip2 -- data embed web --pull ./web --form npy',
  'npm run siglip2 -- calibrate held-out --precision 0.95 --write ./pets',
];

/** Of workflows/README.md, on a run `first`. */
const steering = [
  'npm run siglip2 -- setup-namespace',
  'temporal workflow start --type siglip2Recipe --task-queue siglip2 --workflow-id first --input-file infra/recipes/emoji.json',
  'temporal workflow query --type status --workflow-id first',
  'temporal workflow query --type plan --workflow-id first',
  'temporal workflow update execute --workflow-id first --name retryPhase --input \'{"learningRate": 0.0001}\'',
  'temporal workflow update execute --workflow-id first --name retryPhase --input \'{"batch": 512, "learningRate": 0.0005}\'',
  'temporal workflow update execute --workflow-id first --name retryPhase --input \'{"data": ["data/emoji/train", "data/more"]}\'',
  'temporal workflow update execute --workflow-id first --name retryPhase --input \'{"skip": {"from": 1200, "to": 1209}}\'',
  'temporal workflow update execute --workflow-id first --name setReplicas --input \'{"number": 8, "steps": 250}\'',
  'temporal workflow update execute --workflow-id first --name extend --input \'{"phase": "pretrain", "steps": 1000}\'',
  'temporal workflow update execute --workflow-id first --name setLimits --input \'{"step": 5000, "deviceHours": 12, "wallHours": 24, "cost": 25}\'',
  'temporal workflow update execute --workflow-id first --name setLimits --input \'{"wallHours": null}\'',
  'temporal workflow query --type history --workflow-id first',
  'temporal workflow cancel --workflow-id first',
  'npm run siglip2 -- status first --watch',
];

export const typedForReal = [...firstHalfHour, ...steering];
