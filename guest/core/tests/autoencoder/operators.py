"""The autoencoders of `modules.py` as graphs of ONNX's operators LSTM, GRU, Conv and ConvTranspose.

ONNX orders gates otherwise than PyTorch: an LSTM's as i, o, f, c (where PyTorch has i, f, g, o), a GRU's as z, r, h (r, z,
n there); `linear_before_reset` gives the GRU its hidden bias inside of the reset gate, as PyTorch has it.
"""

import numpy
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper

GATES = {"LSTM": (0, 3, 1, 2), "GRU": (1, 0, 2)}


class Graph:
    def __init__(self):
        self.nodes, self.constants = [], []

    def constant(self, array):
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(numpy.ascontiguousarray(array), name))
        return name

    def add(self, operator, *inputs, outputs=1, **attributes):
        names = [f"{operator}_{len(self.nodes)}_{at}" for at in range(outputs)]
        self.nodes.append(helper.make_node(operator, list(inputs), names, **attributes))
        return names[0] if outputs == 1 else names

    def model(self, output, window, features):
        shape = [1, window, features]
        self.nodes.append(helper.make_node("Identity", [output], ["output"]))
        info = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("input", "output")]
        graph = helper.make_graph(self.nodes, "autoencoder", info[:1], info[1:], self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
        model.ir_version = 8
        onnx.checker.check_model(model)
        return model


def recurrent_stack(graph, module, x):
    """Hidden states of the last layer (window, batch, hidden), and its last one (batch, hidden)."""
    operator = type(module).__name__
    order = list(GATES[operator])

    def gates(name, layer):
        tensor = getattr(module, f"{name}_l{layer}").detach().numpy().reshape(len(order), module.hidden_size, -1)
        return tensor[order].reshape(1, -1, tensor.shape[-1])

    attributes = {"linear_before_reset": 1} if operator == "GRU" else {}
    axis = graph.constant(numpy.array([1]))
    first = graph.constant(numpy.array([0]))
    for layer in range(module.num_layers):
        weights = [graph.constant(gates(name, layer)) for name in ("weight_ih", "weight_hh")]
        biases = numpy.concatenate([gates(name, layer)[..., 0] for name in ("bias_ih", "bias_hh")], axis=1)
        inputs = (x, *weights, graph.constant(biases))
        states, last = graph.add(operator, *inputs, outputs=2, hidden_size=module.hidden_size, **attributes)
        x = graph.add("Squeeze", states, axis)
    return x, graph.add("Squeeze", last, first)


def recurrent(module, window, features):
    graph = Graph()
    linear = lambda layer: [graph.constant(p.detach().numpy()) for p in (layer.weight, layer.bias)]
    _, last = recurrent_stack(graph, module.encoder, graph.add("Transpose", "input", perm=[1, 0, 2]))
    code = graph.add("Gemm", last, *linear(module.bottleneck), transB=1)
    code = graph.add("Gemm", code, *linear(module.expand), transB=1)
    repeated = graph.add("Expand", code, graph.constant(numpy.array([window, 1, module.expand.out_features])))
    states, _ = recurrent_stack(graph, module.decoder, repeated)
    rows = graph.add("MatMul", states, graph.constant(module.output.weight.detach().numpy().T))
    rows = graph.add("Add", rows, graph.constant(module.output.bias.detach().numpy()))
    return graph.model(graph.add("Transpose", rows, perm=[1, 0, 2]), window, features)


def convolutional(module, window, features):
    graph = Graph()
    x = graph.add("Transpose", "input", perm=[0, 2, 1])
    for layers, operator in ((module.encoder, "Conv"), (module.decoder, "ConvTranspose")):
        for at, layer in enumerate(layers):
            padding = list(layer.padding) * 2
            attributes = {"kernel_shape": list(layer.kernel_size), "strides": list(layer.stride), "pads": padding}
            if operator == "ConvTranspose":
                attributes["output_padding"] = list(layer.output_padding)
            parameters = [graph.constant(p.detach().numpy()) for p in (layer.weight, layer.bias)]
            x = graph.add(operator, x, *parameters, **attributes)
            if at + 1 < len(layers):
                x = graph.add("Relu", x)
    return graph.model(graph.add("Transpose", x, perm=[0, 2, 1]), window, features)


def session(module, window, features):
    """The module in ONNX Runtime, on one thread."""
    is_recurrent = isinstance(module.encoder, torch.nn.RNNBase)
    return start((recurrent if is_recurrent else convolutional)(module, window, features))


def start(model):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
