"""PyTorch's `torch.nn.functional`: the operations that layers are made of. They live in minigrad/ops, by family."""

from ..ops.activation import gelu as gelu
from ..ops.activation import leaky_relu as leaky_relu
from ..ops.activation import log_softmax as log_softmax
from ..ops.activation import softmax as softmax
from ..ops.conv import conv2d as conv2d
from ..ops.elementwise import relu as relu
from ..ops.elementwise import sigmoid as sigmoid
from ..ops.elementwise import softplus as softplus
from ..ops.elementwise import tanh as tanh
from ..ops.linalg import linear as linear
from ..ops.loss import binary_cross_entropy_with_logits as binary_cross_entropy_with_logits
from ..ops.loss import cross_entropy as cross_entropy
from ..ops.loss import mse_loss as mse_loss
from ..ops.loss import nll_loss as nll_loss
from ..ops.norm import batch_norm as batch_norm
from ..ops.norm import group_norm as group_norm
from ..ops.norm import layer_norm as layer_norm
from ..ops.pad import pad as pad
from ..ops.pool import adaptive_avg_pool2d as adaptive_avg_pool2d
from ..ops.pool import avg_pool2d as avg_pool2d
from ..ops.pool import max_pool2d as max_pool2d
from ..ops.random import dropout as dropout
