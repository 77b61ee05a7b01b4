;; What is done to many rows of float32 and is no matrix product, in one memory. Source of row-kernels-wasm.ts: the test of
;; row-memory.ts assembles it again and compares. Plain JavaScript takes five to ten times as long.
(module
  (import "env" "memory" (memory 1 65536))

  ;; out[i] = rows[row] · rows[list[i]] for i < count. Everything in bytes but row, list's values and count: `stride` is the
  ;; length of a row, a multiple of 64, with zeros behind its values. Four sums side by side, added in a fixed order.
  (func (export "dots")
    (param $rows i32) (param $stride i32) (param $row i32) (param $list i32) (param $count i32) (param $out i32)
    (local $a i32) (local $b i32) (local $end i32) (local $last i32)
    (local $s0 v128) (local $s1 v128) (local $s2 v128) (local $s3 v128)
    (local.set $last (i32.add (local.get $list) (i32.shl (local.get $count) (i32.const 2))))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $list) (local.get $last)))
        (local.set $a (i32.add (local.get $rows) (i32.mul (local.get $row) (local.get $stride))))
        (local.set $b (i32.add (local.get $rows) (i32.mul (i32.load (local.get $list)) (local.get $stride))))
        (local.set $end (i32.add (local.get $a) (local.get $stride)))
        (local.set $s0 (v128.const f32x4 0 0 0 0))
        (local.set $s1 (v128.const f32x4 0 0 0 0))
        (local.set $s2 (v128.const f32x4 0 0 0 0))
        (local.set $s3 (v128.const f32x4 0 0 0 0))
        (loop $along
          (local.set $s0 (f32x4.add (local.get $s0)
            (f32x4.mul (v128.load (local.get $a)) (v128.load (local.get $b)))))
          (local.set $s1 (f32x4.add (local.get $s1)
            (f32x4.mul (v128.load offset=16 (local.get $a)) (v128.load offset=16 (local.get $b)))))
          (local.set $s2 (f32x4.add (local.get $s2)
            (f32x4.mul (v128.load offset=32 (local.get $a)) (v128.load offset=32 (local.get $b)))))
          (local.set $s3 (f32x4.add (local.get $s3)
            (f32x4.mul (v128.load offset=48 (local.get $a)) (v128.load offset=48 (local.get $b)))))
          (local.set $b (i32.add (local.get $b) (i32.const 64)))
          (local.set $a (i32.add (local.get $a) (i32.const 64)))
          (br_if $along (i32.lt_u (local.get $a) (local.get $end))))
        (local.set $s0 (f32x4.add
          (f32x4.add (local.get $s0) (local.get $s1))
          (f32x4.add (local.get $s2) (local.get $s3))))
        (f32.store (local.get $out) (f32.add
          (f32.add (f32x4.extract_lane 0 (local.get $s0)) (f32x4.extract_lane 1 (local.get $s0)))
          (f32.add (f32x4.extract_lane 2 (local.get $s0)) (f32x4.extract_lane 3 (local.get $s0)))))
        (local.set $list (i32.add (local.get $list) (i32.const 4)))
        (local.set $out (i32.add (local.get $out) (i32.const 4)))
        (br $next))))

  ;; Copies the rows that `list` names beside each other to `out`.
  (func (export "gather") (param $rows i32) (param $stride i32) (param $list i32) (param $count i32) (param $out i32)
    (local $last i32)
    (local.set $last (i32.add (local.get $list) (i32.shl (local.get $count) (i32.const 2))))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $list) (local.get $last)))
        (memory.copy
          (local.get $out)
          (i32.add (local.get $rows) (i32.mul (i32.load (local.get $list)) (local.get $stride)))
          (local.get $stride))
        (local.set $out (i32.add (local.get $out) (local.get $stride)))
        (local.set $list (i32.add (local.get $list) (i32.const 4)))
        (br $next))))

  ;; Takes a neighbour into the list of `page`, which is better than its last, unless it is there already. Lists are rows of k,
  ;; best first; least[page] is the similarity of the last.
  (func $offer
    (param $indices i32) (param $similarities i32) (param $least i32) (param $k i32)
    (param $page i32) (param $neighbour i32) (param $similarity f32)
    (local $first i32) (local $at i32) (local $end i32)
    (local.set $first (i32.shl (i32.mul (local.get $page) (local.get $k)) (i32.const 2)))
    (local.set $end (i32.add (local.get $first) (i32.shl (local.get $k) (i32.const 2))))
    (local.set $at (local.get $first))
    (loop $look
      (if (i32.eq (i32.load (i32.add (local.get $indices) (local.get $at))) (local.get $neighbour)) (then (return)))
      (local.set $at (i32.add (local.get $at) (i32.const 4)))
      (br_if $look (i32.lt_u (local.get $at) (local.get $end))))
    (local.set $indices (i32.add (local.get $indices) (local.get $end)))
    (local.set $similarities (i32.add (local.get $similarities) (local.get $end)))
    (local.set $at (local.get $end))
    ;; From here `indices` and `similarities` point behind the place that is looked at.
    (block $here
      (loop $shift
        (br_if $here (i32.le_u (local.get $at) (i32.add (local.get $first) (i32.const 4))))
        (br_if $here (i32.eqz (f32.lt
          (f32.load (i32.sub (local.get $similarities) (i32.const 8))) (local.get $similarity))))
        (i32.store (i32.sub (local.get $indices) (i32.const 4))
          (i32.load (i32.sub (local.get $indices) (i32.const 8))))
        (f32.store (i32.sub (local.get $similarities) (i32.const 4))
          (f32.load (i32.sub (local.get $similarities) (i32.const 8))))
        (local.set $indices (i32.sub (local.get $indices) (i32.const 4)))
        (local.set $similarities (i32.sub (local.get $similarities) (i32.const 4)))
        (local.set $at (i32.sub (local.get $at) (i32.const 4)))
        (br $shift)))
    (i32.store (i32.sub (local.get $indices) (i32.const 4)) (local.get $neighbour))
    (f32.store (i32.sub (local.get $similarities) (i32.const 4)) (local.get $similarity))
    (f32.store (i32.add (local.get $least) (i32.shl (local.get $page) (i32.const 2)))
      (f32.load (i32.sub
        (i32.add (local.get $similarities) (i32.sub (local.get $end) (local.get $at))) (i32.const 4)))))

  ;; Offers each of `rows` to each of `columns` and the other way round, by values[row_count × column_count]; where `upper` is 1
  ;; only pairs right of the diagonal. `bounds` is written over. Reads up to three values behind the last, and leaves them out.
  (func (export "offer_products")
    (param $values i32) (param $rows i32) (param $row_count i32) (param $columns i32) (param $column_count i32)
    (param $upper i32) (param $bounds i32)
    (param $indices i32) (param $similarities i32) (param $least i32) (param $k i32)
    (local $i i32) (local $j i32) (local $at i32) (local $row i32) (local $column i32) (local $place i32)
    (local $mask i32) (local $rest i32) (local $similarity f32) (local $bound v128)
    (block $filled
      (loop $fill
        (br_if $filled (i32.ge_u (local.get $j) (local.get $column_count)))
        (f32.store (i32.add (local.get $bounds) (i32.shl (local.get $j) (i32.const 2)))
          (f32.load (i32.add (local.get $least) (i32.shl
            (i32.load (i32.add (local.get $columns) (i32.shl (local.get $j) (i32.const 2)))) (i32.const 2)))))
        (local.set $j (i32.add (local.get $j) (i32.const 1)))
        (br $fill)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $i) (local.get $row_count)))
        (local.set $row (i32.load (i32.add (local.get $rows) (i32.shl (local.get $i) (i32.const 2)))))
        (local.set $bound (v128.load32_splat (i32.add (local.get $least) (i32.shl (local.get $row) (i32.const 2)))))
        (local.set $j (i32.mul (local.get $upper) (i32.add (local.get $i) (i32.const 1))))
        (block $end
          (loop $four
            (br_if $end (i32.ge_u (local.get $j) (local.get $column_count)))
            (local.set $at (i32.add (local.get $values) (i32.shl
              (i32.add (i32.mul (local.get $i) (local.get $column_count)) (local.get $j)) (i32.const 2))))
            (local.set $mask (i32x4.bitmask (f32x4.gt
              (v128.load (local.get $at))
              (f32x4.min (local.get $bound)
                (v128.load (i32.add (local.get $bounds) (i32.shl (local.get $j) (i32.const 2))))))))
            (local.set $rest (i32.sub (local.get $column_count) (local.get $j)))
            (if (i32.lt_u (local.get $rest) (i32.const 4))
              (then (local.set $mask (i32.and (local.get $mask)
                (i32.sub (i32.shl (i32.const 1) (local.get $rest)) (i32.const 1))))))
            (block $none
              (br_if $none (i32.eqz (local.get $mask)))
              (loop $bits
                (local.set $place (i32.ctz (local.get $mask)))
                (local.set $similarity
                  (f32.load (i32.add (local.get $at) (i32.shl (local.get $place) (i32.const 2)))))
                (local.set $place (i32.shl (i32.add (local.get $j) (local.get $place)) (i32.const 2)))
                (local.set $column (i32.load (i32.add (local.get $columns) (local.get $place))))
                (if (i32.ne (local.get $column) (local.get $row))
                  (then
                    (if (f32.gt (local.get $similarity)
                        (f32.load (i32.add (local.get $least) (i32.shl (local.get $row) (i32.const 2)))))
                      (then
                        (call $offer (local.get $indices) (local.get $similarities) (local.get $least) (local.get $k)
                          (local.get $row) (local.get $column) (local.get $similarity))
                        (local.set $bound
                          (v128.load32_splat (i32.add (local.get $least) (i32.shl (local.get $row) (i32.const 2)))))))
                    ;; Not by its bound: a column that is also a row has been offered to since that was taken.
                    (if (f32.gt (local.get $similarity)
                        (f32.load (i32.add (local.get $least) (i32.shl (local.get $column) (i32.const 2)))))
                      (then
                        (call $offer (local.get $indices) (local.get $similarities) (local.get $least) (local.get $k)
                          (local.get $column) (local.get $row) (local.get $similarity))))
                    (f32.store (i32.add (local.get $bounds) (local.get $place))
                      (f32.load (i32.add (local.get $least) (i32.shl (local.get $column) (i32.const 2)))))))
                (local.set $mask (i32.and (local.get $mask) (i32.sub (local.get $mask) (i32.const 1))))
                (br_if $bits (local.get $mask))))
            (local.set $j (i32.add (local.get $j) (i32.const 4)))
            (br $four)))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $next))))

  ;; Writes to `out` the numbers i < count for which values[i] > bound or values[i] > bounds[i], ascending; returns how many.
  (func (export "above")
    (param $values i32) (param $bounds i32) (param $count i32) (param $bound f32) (param $out i32) (result i32)
    (local $i i32) (local $whole i32) (local $four v128) (local $hits i32) (local $mask i32) (local $first i32)
    (local.set $first (local.get $out))
    (local.set $four (f32x4.splat (local.get $bound)))
    (local.set $whole (i32.and (local.get $count) (i32.const -4)))
    (block $rest
      (loop $next
        (br_if $rest (i32.ge_u (local.get $i) (local.get $whole)))
        (local.set $mask (i32x4.bitmask (f32x4.gt
          (v128.load (local.get $values))
          (f32x4.min (local.get $four) (v128.load (local.get $bounds))))))
        (block $none
          (br_if $none (i32.eqz (local.get $mask)))
          (loop $bits
            (i32.store (local.get $out) (i32.add (local.get $i) (i32.ctz (local.get $mask))))
            (local.set $out (i32.add (local.get $out) (i32.const 4)))
            (local.set $mask (i32.and (local.get $mask) (i32.sub (local.get $mask) (i32.const 1))))
            (br_if $bits (local.get $mask))))
        (local.set $i (i32.add (local.get $i) (i32.const 4)))
        (local.set $values (i32.add (local.get $values) (i32.const 16)))
        (local.set $bounds (i32.add (local.get $bounds) (i32.const 16)))
        (br $next)))
    (block $end
      (loop $one
        (br_if $end (i32.ge_u (local.get $i) (local.get $count)))
        (if (f32.gt (f32.load (local.get $values)) (f32.min (local.get $bound) (f32.load (local.get $bounds))))
          (then
            (i32.store (local.get $out) (local.get $i))
            (local.set $out (i32.add (local.get $out) (i32.const 4)))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (local.set $values (i32.add (local.get $values) (i32.const 4)))
        (local.set $bounds (i32.add (local.get $bounds) (i32.const 4)))
        (br $one)))
    (i32.shr_u (i32.sub (local.get $out) (local.get $first)) (i32.const 2))))
