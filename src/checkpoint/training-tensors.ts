/** Names of tensors of `training-*.safetensors`, beside those of parameters and moments. */

/** The weight of a layer with an adapter, as it is without it. */
export const withoutAdapter = (weight: string) => `base/${weight}`;
/** What B A is multiplied by. */
export const scaleTensor = 'lora/scale';
/** How many updates the moments of a parameter have seen, where that is not the step; 0 where there are none. */
export const updatesTensor = (parameter: string) => `updates/${parameter}`;
/** A parameter as it is trained, where the tensor of its name is its moving average. */
export const trainedCopy = (parameter: string) => `trained/${parameter}`;
