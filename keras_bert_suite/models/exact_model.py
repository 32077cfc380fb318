"""A Keras model whose train step gives the same weights on one device, N replicas and N workers.

Three private hooks of Keras 3.15 are used: the model's `_maybe_symbolic_build`, the optimizer's
`_all_reduce_sum_gradients` and `_distribution_strategy`. The tests with two replicas and two
processes hold them.
"""

from __future__ import annotations

import keras
import tensorflow as tf

from keras_bert_suite.models.guarded_update import UpdateGuard, apply_if, take_reduced_gradients
from keras_bert_suite.models.token_export import TokenExport

_SUM = tf.distribute.ReduceOp.SUM


class ExactModel(TokenExport):
    """Trains and evaluates on sums: a loss is its sum over its weight, each of all replicas.

    The order of a step: add up the weights of all replicas; forward and backward with no collective
    inside (this part may be compiled by XLA and repeated over micro-batches); add up the gradients;
    unscale, clip and apply once, unless the guard holds the step to be harmful.

    Subclasses set `term_names` and `metric_term_names` before `compile`, and implement
    `loss_weights`, `loss_terms` and `metric_terms` as a Head does.
    """

    term_names: tuple[str, ...] = ()
    metric_term_names: tuple[str, ...] = ()
    target_keys: tuple[str, ...] = ()  # of the batch

    def compile(
        self,
        optimizer="adamw",
        *,
        term_weights=None,
        micro_batches=1,
        jit_compile=False,
        run_eagerly=False,
        steps_per_execution=1,
        guard_updates=False,
        spike_factor=None,
    ):
        """Sets how the model is trained; the losses are the model's own.

        Args:
          optimizer: any Keras optimizer, made inside the strategy's scope. Clipping sees the
            gradient of the whole global batch. With a float16 policy Keras wraps it in a
            LossScaleOptimizer.
          term_weights: {loss term: factor in the total loss}; a term that is not named counts once.
          micro_batches: each replica's batch is computed in this many equal parts, whose gradients
            add up.
          jit_compile: True compiles forward and backward with XLA; rows are then computed padded.
          run_eagerly, steps_per_execution: as in `keras.Model.compile`.
          guard_updates: True leaves out the updates of steps that are harmful (see UpdateGuard);
            `update_guard` counts them.
          spike_factor: of the guard.

        Raises:
          ValueError: for an unknown term, an option that does not work under the strategy, or an
            optimizer that was made outside the scope of the strategy.
        """
        strategy = tf.distribute.get_strategy()
        self._check_options(term_weights or {}, micro_batches, steps_per_execution, strategy)
        super().compile(
            optimizer=optimizer,
            jit_compile=False,
            run_eagerly=run_eagerly,
            steps_per_execution=steps_per_execution,
        )
        take_reduced_gradients(self.optimizer, strategy)
        self.update_guard = UpdateGuard(spike_factor) if guard_updates else None
        self.inner_jit_compile = jit_compile
        self.term_weights = {
            name: float((term_weights or {}).get(name, 1.0)) for name in self.term_names
        }
        self.micro_batches = micro_batches
        self._forward_backward_step = self._forward_backward
        if jit_compile:
            self._forward_backward_step = tf.function(
                self._forward_backward, jit_compile=True, autograph=False
            )
        self._means = {
            name: keras.metrics.Mean(name=name)
            for name in [
                *(f"{term}_loss" for term in self.term_names),
                *self.metric_term_names,
                "gradient_norm",
            ]
        }

    def _check_options(self, term_weights, micro_batches, steps_per_execution, strategy):
        unknown = sorted(set(term_weights) - set(self.term_names))
        if unknown:
            raise ValueError(
                f"`term_weights` may name {list(self.term_names)}. Received: {unknown}"
            )
        if not isinstance(micro_batches, int) or micro_batches < 1:
            raise ValueError(
                f"`micro_batches` must be a positive integer. Received: {micro_batches!r}"
            )
        if strategy.num_replicas_in_sync > 1 and steps_per_execution != 1:
            raise ValueError(
                "`steps_per_execution` must be 1 with more than one replica. "
                f"Received: {steps_per_execution}"
            )

    def get_compile_config(self):
        """Returns what `compile` was given, so that a saved and loaded model trains on."""
        if not self.compiled:
            return {}
        return {
            "optimizer": keras.saving.serialize_keras_object(self.optimizer),
            "term_weights": dict(self.term_weights),
            "micro_batches": self.micro_batches,
            "jit_compile": self.inner_jit_compile,
            "guard_updates": self.update_guard is not None,
            "spike_factor": self.update_guard and self.update_guard.spike_factor,
        }

    def compile_from_config(self, config):
        config = dict(config)
        if config:
            optimizer = keras.saving.deserialize_keras_object(config.pop("optimizer"))
            self.compile(optimizer, **config)
            self.optimizer.build(self.trainable_variables)

    @property
    def metrics(self):
        return list(getattr(self, "_means", {}).values())

    def loss_weights(self, batch):
        """Returns {term: float32 scalar}, from the batch alone; see Head."""
        raise NotImplementedError(f"{type(self).__name__} must implement `loss_weights`")

    def loss_terms(self, outputs, batch):
        """Returns {term: (loss_sum, weight_sum)}; see Head."""
        raise NotImplementedError(f"{type(self).__name__} must implement `loss_terms`")

    def metric_terms(self, outputs, batch):
        """Returns {metric: (hit_sum, weight_sum)}; see Head."""
        raise NotImplementedError(f"{type(self).__name__} must implement `metric_terms`")

    def train_step(self, data):
        """Takes one optimizer step on the replicas' batches; returns the means so far."""
        batch = self._as_batch(data)
        replica = tf.distribute.get_replica_context()
        weights = self.loss_weights(batch)
        if not weights:
            raise ValueError(
                f"The batch holds no targets of {list(self.term_names)}, under any of the keys "
                f"{list(self.target_keys)}. Received: {sorted(batch)}"
            )
        weights = replica.all_reduce(_SUM, weights)
        inverse = {
            term: self.term_weights[term] * tf.math.divide_no_nan(1.0, weight)
            for term, weight in weights.items()
        }
        if self.micro_batches == 1:
            sums, gradients = self._forward_backward_step(batch, inverse)
        else:
            sums, gradients = self._accumulate(batch, inverse)
        sums, gradients = replica.all_reduce(_SUM, (sums, gradients))
        # Of the whole step, before clipping and without the factor of loss scaling.
        norm = tf.linalg.global_norm(gradients) / self.optimizer.scale_loss(tf.ones([]))
        sums = {**sums, "gradient_norm": (norm, tf.ones([]))}
        return self._update_means(self._update(sums, gradients))

    def _update(self, sums, gradients):
        """Applies the gradients of the whole step; returns its sums, zeros where it was skipped."""
        variables = [self.trainable_variables[index] for index in self._reached]
        if self.update_guard is None:
            self.optimizer.apply(gradients, variables)
            return sums
        loss = tf.add_n(
            [
                scale * tf.math.divide_no_nan(*sums[f"{term}_loss"])
                for term, scale in self.term_weights.items()
                if f"{term}_loss" in sums
            ]
        )
        good = self.update_guard.accepts(loss, gradients, self.optimizer)
        apply_if(good, self.optimizer, gradients, variables)
        return tf.nest.map_structure(lambda total: tf.where(good, total, 0.0), sums)

    def test_step(self, data):
        """Adds the replicas' batches to the means; returns them."""
        batch = self._as_batch(data)
        sums = self._sums(self(batch, training=False), batch)
        return self._update_means(tf.distribute.get_replica_context().all_reduce(_SUM, sums))

    def _sums(self, outputs, batch):
        """Returns {mean's name: (sum, weight)} of this replica."""
        losses = {f"{term}_loss": pair for term, pair in self.loss_terms(outputs, batch).items()}
        return {**losses, **self.metric_terms(outputs, batch)}

    def _forward_backward(self, batch, inverse):
        """Returns ({mean's name: (sum, weight)}, gradients of the total loss).

        Variables that the loss does not reach are left out, here and in the update, so that weight
        decay leaves them.
        """
        with tf.GradientTape() as tape:
            outputs = self(batch, training=True)
            sums = self._sums(outputs, batch)
            loss = tf.add_n([sums[f"{term}_loss"][0] * scale for term, scale in inverse.items()])
            scaled_loss = self.optimizer.scale_loss(loss)
        variables = self.trainable_variables
        gradients = tape.gradient(scaled_loss, [variable.value for variable in variables])
        # Places and not variables: Keras would save variables in a list as weights of their own.
        self._reached = tuple(i for i, gradient in enumerate(gradients) if gradient is not None)
        gradients = [tf.cast(tf.convert_to_tensor(gradients[i]), tf.float32) for i in self._reached]
        return sums, gradients

    def _accumulate(self, batch, inverse):
        """Adds up the step over the micro-batches.

        The first stands outside the loop and gives the structure of the sums.
        """
        count = self.micro_batches

        def split(tensor):
            size = tensor.shape[0]
            if size is not None and size % count:
                raise ValueError(
                    "`micro_batches` must divide the batch of each replica. "
                    f"Received: micro_batches={count}, a batch of {size}"
                )
            # where the size is known in the graph alone, this reshape fails with both numbers
            return tf.reshape(tensor, tf.concat([[count, -1], tf.shape(tensor)[1:]], 0))

        parts = {key: split(value) for key, value in batch.items()}

        def micro_batch(index):
            return {
                key: tf.ensure_shape(part[index], [None, *batch[key].shape[1:]])
                for key, part in parts.items()
            }

        first = self._forward_backward_step(micro_batch(0), inverse)

        def body(index, total):
            new = self._forward_backward_step(micro_batch(index), inverse)
            return index + 1, tf.nest.map_structure(tf.add, total, new)

        _, total = tf.while_loop(
            lambda index, _: index < count, body, (tf.constant(1), first), parallel_iterations=1
        )
        return total

    def _update_means(self, sums):
        for name, (total, weight) in sums.items():
            self._means[name].update_state(
                tf.math.divide_no_nan(total, weight), sample_weight=weight
            )
        results = {name: self._means[name].result() for name in sums}
        results["loss"] = tf.add_n(
            [
                scale * results[f"{t}_loss"]
                for t, scale in self.term_weights.items()
                if f"{t}_loss" in results
            ]
        )
        if isinstance(self.distribute_strategy, tf.distribute.MultiWorkerMirroredStrategy):
            # `fit` concatenates the workers' results on axis 0, which scalars lack.
            return {name: tf.reshape(value, (1,)) for name, value in results.items()}
        return results

    def _as_batch(self, data):
        """Returns one dict of features and targets, also of (features, targets[, weights])."""
        features, targets, weights = keras.utils.unpack_x_y_sample_weight(data)
        if not isinstance(features, dict):
            raise ValueError(
                f"A batch must be a dict of tensors. Received: {type(features).__name__}"
            )
        batch = dict(features)
        if isinstance(targets, dict):
            batch.update(targets)
        elif targets is not None:
            batch[self.target_key] = targets
        if weights is not None:
            batch["example_weights"] = weights
        return batch

    @property
    def target_key(self) -> str:
        """Key under which targets that come as one tensor enter the batch."""
        raise NotImplementedError(f"{type(self).__name__} must implement `target_key`")

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        # The weights exist since construction. The stock build reduces eagerly over workers, which
        # MultiWorkerMirroredStrategy refuses.
        if not self.optimizer.built:
            with self.distribute_strategy.scope():
                self.optimizer.build(self.trainable_variables)
