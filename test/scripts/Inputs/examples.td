def Test_GoodOp : Test_Op<"good"> {
  let description = [{
    ```mlir
    %y = moe.combine %h, %rows, %weights : tensor<?x4xf32>, tensor<?xi32>, tensor<?x2xf32> -> tensor<?x4xf32>
    ```
  }];
}

def Test_BadOp : Test_Op<"bad"> {
  let description = [{
    ```mlir
    %y = moe.combine %h, %rows, %weights : tensor<?x4xf32>, tensor<?xi64>, tensor<?x2xf32> -> tensor<?x4xf32>
    ```
  }];
}
